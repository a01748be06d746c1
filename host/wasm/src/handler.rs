//! A handler that may serve: a module that has started, with its instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use host_http::request_id::RequestId;

use crate::call::Stopped;
use crate::engine::Engine;
use crate::failure::CallError;
use crate::idle::Idle;
use crate::instance::{CallState, Instance};
use crate::limits::CallLimits;
use crate::long_targets::LongTargets;
use crate::module::{Code, CompiledModule};
use crate::snapshot::Snapshot;

/// A module that meets the contract, and has started.
pub struct HandlerModule {
    engine: Engine,
    code: Code,
    /// What instances are brought back into, and those that were; unless each
    /// request needs a new one.
    kept: Option<(Snapshot, Idle)>,
    unoptimised: Option<Arc<[u8]>>,
    /// Whether the last instance that was made anew has grown its memory. The
    /// next one will be of no more use after its request than that.
    grows: AtomicBool,
    pub(super) long_targets: LongTargets,
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
        let permit = engine.begin_candidate().await?;
        let state = CallState::new(engine.limits(), RequestId::none(), Instant::now());
        let mut instance = Instance::new(&code, if quiet { state.quiet() } else { state }).await?;
        let kept = match &code.data {
            Some(data) => {
                let snapshot = Snapshot::after_initialising(instance, data, engine.stretches()).await?;
                Some((snapshot, Idle::new(engine.limits().instances, engine.threads())))
            }
            None => {
                instance.initialise().await?;
                None
            }
        };
        drop(permit);
        Ok(HandlerModule {
            engine,
            code,
            kept,
            unoptimised,
            grows: AtomicBool::new(false),
            long_targets: LongTargets::new(),
        })
    }
}

impl HandlerModule {
    /// The file that it was compiled from, unless its code is as good as it gets.
    pub fn unoptimised(&self) -> Option<Arc<[u8]>> {
        self.unoptimised.clone()
    }

    /// Returns the memory that it takes by itself, in bytes: its code and data,
    /// what its instances start from, and its file until that was compiled again.
    pub fn memory(&self) -> usize {
        let file = self.unoptimised.as_ref().map_or(0, |file| file.len());
        self.code.size() + self.image_bytes() + file
    }

    /// Whether an instance is put back after a request, rather than made anew.
    pub fn is_put_back(&self) -> bool {
        self.kept.is_some()
    }

    /// The bounds that it runs within.
    pub fn limits(&self) -> &CallLimits {
        self.engine.limits()
    }

    /// The memory for the state that its requests start from, in bytes, instances
    /// left out.
    pub fn image_bytes(&self) -> usize {
        let data = self.code.data.as_ref().map_or(0, |data| data.bytes.len());
        self.kept.as_ref().map_or(0, |(snapshot, _)| snapshot.bytes()) + data
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

    pub(super) fn code(&self) -> &Code {
        &self.code
    }

    /// An instance in the state that every request starts from, if one waits.
    pub(super) fn take_idle(&self) -> Option<Box<Instance>> {
        self.kept.as_ref().and_then(|(_, idle)| idle.take())
    }

    /// A new instance in the state that every request starts from, in which this
    /// call begins.
    pub(super) async fn new_instance(&self, state: CallState) -> Result<Box<Instance>, CallError> {
        let Some((snapshot, _)) = &self.kept else {
            let mut instance = Instance::new(&self.code, state.quiet()).await?;
            instance.initialise().await?;
            instance.unmute(self.engine.limits());
            return Ok(Box::new(instance));
        };
        let mut instance = Instance::new(&self.code, state).await?;
        snapshot.bring(&mut instance, !self.grows.load(Relaxed))?;
        Ok(Box::new(instance))
    }

    /// The same on the stack of the thread, which waits for it.
    pub(super) fn new_instance_here(&self, state: CallState) -> Result<Box<Instance>, Stopped> {
        let Some((snapshot, _)) = &self.kept else {
            let mut instance = Instance::new_here(&self.code, state.quiet())?;
            instance.initialise_here()?;
            instance.unmute(self.engine.limits());
            return Ok(Box::new(instance));
        };
        let mut instance = Instance::new_here(&self.code, state)?;
        snapshot.bring(&mut instance, !self.grows.load(Relaxed))?;
        Ok(Box::new(instance))
    }

    /// Takes an instance back that has answered its request. One in which
    /// anything went wrong is dropped instead.
    pub(super) fn give_back(&self, mut instance: Box<Instance>) {
        let Some((snapshot, idle)) = &self.kept else {
            return;
        };
        if snapshot.restore(&mut instance) {
            idle.put(instance);
        } else if snapshot.has_grown(&instance) {
            self.grows.store(true, Relaxed);
        } else if instance.pages.is_none() {
            self.grows.store(false, Relaxed);
        }
    }
}
