//! Value that is replaced as a whole while the server runs, such as its settings. A reader, such as
//! a connection, keeps the value that it has read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Value that can be replaced while the server runs.
pub struct InForce<T>(Mutex<Arc<T>>);

impl<T> InForce<T> {
    /// Creates the holder with the first value.
    pub fn new(value: T) -> InForce<T> {
        InForce(Mutex::new(Arc::new(value)))
    }

    /// Returns the current value.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    /// Replaces the value. Readers of the old value keep it.
    pub fn set(&self, value: T) {
        *self.lock() = Arc::new(value);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
