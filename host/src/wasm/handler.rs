//! A handler that may serve: a module that has started, with its instances.

use super::call::CallError;
use super::engine::{Engine, Purpose};
use super::idle::Idle;
use super::instance::Instance;
use super::module::{Code, CompiledModule, Unoptimised};
use super::snapshot::Snapshot;
use crate::request_id::RequestId;

/// A module that meets the contract, and has started.
pub struct HandlerModule {
    engine: Engine,
    code: Code,
    /// What instances are brought back into, and those that were; unless each
    /// request needs a new one.
    kept: Option<(Snapshot, Idle)>,
    unoptimised: Option<Unoptimised>,
}

impl CompiledModule {
    /// Initialises it, once for all requests where that can be.
    ///
    /// # Errors
    ///
    /// [`CallError`] when its start function or `_initialize` fails.
    pub async fn start(self) -> Result<HandlerModule, CallError> {
        self.start_as(false).await
    }

    /// The same for a module that was started before with other code: what it
    /// logs then was heard.
    ///
    /// # Errors
    ///
    /// Those of [`CompiledModule::start`].
    pub async fn start_quietly(self) -> Result<HandlerModule, CallError> {
        self.start_as(true).await
    }

    async fn start_as(self, quiet: bool) -> Result<HandlerModule, CallError> {
        let CompiledModule { engine, code, unoptimised } = self;
        let permit = engine.admit(Purpose::Candidate).await?;
        let mut instance = Instance::new(&code, engine.limits(), RequestId::none(), quiet).await?;
        let kept = match &code.data {
            Some(data) => {
                let snapshot = Snapshot::after_initialising(instance, data.clone()).await?;
                Some((snapshot, Idle::new(engine.limits().instances)))
            }
            None => {
                instance.initialise().await?;
                None
            }
        };
        drop(permit);
        Ok(HandlerModule { engine, code, kept, unoptimised })
    }
}

impl HandlerModule {
    /// What is left to be done, unless its code is as good as it gets.
    pub fn unoptimised(&self) -> Option<Unoptimised> {
        self.unoptimised.clone()
    }

    /// Whether an instance is put back after a request, rather than made anew.
    pub fn is_put_back(&self) -> bool {
        self.kept.is_some()
    }

    /// It does not serve any more: no instances are kept ready. So it is at first.
    pub fn rest(&self) {
        if let Some((_, idle)) = &self.kept {
            idle.rest();
        }
    }

    /// It serves from now on.
    pub fn wake(&self) {
        if let Some((_, idle)) = &self.kept {
            idle.wake();
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An instance in the state that every request starts from.
    pub(super) async fn take_instance(&self, id: RequestId) -> Result<Instance, CallError> {
        let limits = self.engine.limits();
        let Some((snapshot, idle)) = &self.kept else {
            let mut instance = Instance::new(&self.code, limits, id, true).await?;
            instance.initialise().await?;
            instance.unmute(limits);
            return Ok(instance);
        };
        match idle.take() {
            Some(mut instance) => {
                instance.begin(limits, id);
                Ok(instance)
            }
            None => {
                let mut instance = Instance::new(&self.code, limits, id, false).await?;
                snapshot.bring(&mut instance)?;
                Ok(instance)
            }
        }
    }

    /// Takes an instance back that has answered its request. One in which
    /// anything went wrong is dropped instead.
    pub(super) fn give_back(&self, mut instance: Instance) {
        if let Some((snapshot, idle)) = &self.kept
            && snapshot.restore(&mut instance)
        {
            idle.put(instance);
        }
    }
}
