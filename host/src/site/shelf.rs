//! Machine code that sites share, so that a module that several sites serve is compiled once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host_wasm::{CompiledHandler, Engine, SharedCode};

/// Machine code of the modules in use, looked up by the SHA-256 of the module. Does not keep code
/// in memory that no version uses any more.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Shared>);

#[derive(Default)]
struct Shared {
    codes: Mutex<HashMap<String, SharedCode>>,
    /// Lock that a site holds while it optimises a module. Other sites wait, and then find the
    /// optimised code here.
    turn: tokio::sync::Mutex<()>,
}

impl Shelf {
    /// Returns the code of the module with this hash as a handler for `engine`, the engine of a
    /// site; [`None`] if no version of any site uses the code.
    pub(super) fn get(&self, sha256: &str, engine: &Engine) -> Option<CompiledHandler> {
        let code = self.lock().get(sha256).cloned();
        code?.handler(engine)
    }

    /// Waits until no other site optimises a module. Other sites then wait until the caller drops
    /// the returned guard.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Returns the optimised code of the module with this hash as a handler for `engine`, the
    /// engine of a site; [`None`] if there is none, or no version of any site uses it.
    pub(super) fn optimised(&self, sha256: &str, engine: &Engine) -> Option<CompiledHandler> {
        let code = self.lock().get(sha256).cloned();
        code.filter(SharedCode::is_optimised)?.handler(engine)
    }

    /// Makes the code of a module available to all sites. Forgets code that no version uses any
    /// more.
    pub(super) fn put(&self, sha256: &str, module: &CompiledHandler) {
        let mut codes = self.lock();
        codes.retain(|_, code| code.is_used());
        codes.insert(sha256.to_owned(), module.shared_code());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SharedCode>> {
        self.0.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
