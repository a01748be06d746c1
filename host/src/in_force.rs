//! What is in force until it is replaced as a whole, read once for each connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is in force.
pub struct InForce<T>(Mutex<Arc<T>>);

impl<T> InForce<T> {
    /// Puts the first in force.
    pub fn new(value: T) -> InForce<T> {
        InForce(Mutex::new(Arc::new(value)))
    }

    /// Returns what is in force.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.lock())
    }

    /// Puts another one in force, for new connections.
    pub fn set(&self, value: T) {
        *self.lock() = Arc::new(value);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
