//! Value that is replaced as a whole while the server runs, such as the settings. A reader keeps
//! the value that it got, even after a replacement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared value that can be replaced while the server runs.
pub struct InForce<T>(Mutex<Arc<T>>);

impl<T> InForce<T> {
    /// Shares `value` until [`InForce::set`] replaces it.
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
