//! A started module: the handler of one version, with its idle instances.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Instant;

use host_http::request_id::RequestId;

use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::code::Code;
use crate::engine::Engine;
use crate::failure::Stopped;
use crate::idle::Idle;
use crate::instance::Instance;
use crate::limits::CallLimits;
use crate::long_targets::LongTargets;
use crate::module::CompiledModule;
use crate::snapshot::Snapshot;
use crate::values::Values;
use crate::verify;

/// A module that meets the contract, has run `_initialize` and has its values.
pub struct HandlerModule {
    engine: Engine,
    code: Arc<Code>,
    /// The snapshot, and the idle instances that were reset to it. [`None`] if each
    /// request needs a new instance.
    kept: Option<(Snapshot, Arc<Idle>)>,
    unoptimised: Option<Arc<[u8]>>,
    /// Whether the latest calls grew their instances' memory. A grown instance cannot be
    /// reset, so new instances are then not prepared for a reset.
    grows: AtomicBool,
    draws: bool,
    values: Arc<Values>,
    pub(super) long_targets: LongTargets,
}

impl CompiledModule {
    /// Starts the module: runs its start function and `_initialize`, gives it the values if
    /// it takes them, and takes the snapshot if the module can be reset.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the start function, `_initialize` or `configure` fails.
    pub async fn start(self, values: Arc<Values>) -> Result<HandlerModule, CallError> {
        self.start_as(false, values).await
    }

    /// Starts the module, and drops its log lines, because an earlier start of this module
    /// has logged them.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the start function, `_initialize` or `configure` fails.
    pub async fn start_quietly(self, values: Arc<Values>) -> Result<HandlerModule, CallError> {
        self.start_as(true, values).await
    }

    async fn start_as(self, quiet: bool, values: Arc<Values>) -> Result<HandlerModule, CallError> {
        let CompiledModule { engine, code, unoptimised } = self;
        let permit = engine.admission().begin_candidate().await?;
        engine.wake_ticker();
        let state = CallState::new(engine.limits(), RequestId::none(), Instant::now()).with(&values);
        let mut instance =
            Instance::new(engine.slots().enter(), &code, if quiet { state.quiet() } else { state }).await?;
        let kept = match &code.data {
            Some(data) => {
                let snapshot = Snapshot::after_initialising(instance, data, engine.stretches()).await?;
                let idle = Arc::new(Idle::new(engine.limits().instances, engine.threads()));
                let weak: Weak<Idle> = Arc::downgrade(&idle);
                engine.slots().register(weak);
                Some((snapshot, idle))
            }
            None => {
                instance.initialise().await?;
                None
            }
        };
        drop(permit);
        let draws = verify::draws(code.instance.module());
        Ok(HandlerModule {
            engine,
            code,
            kept,
            unoptimised,
            grows: AtomicBool::new(false),
            draws,
            values,
            long_targets: LongTargets::new(),
        })
    }
}

impl HandlerModule {
    /// Returns the compiled module with its current code, optimised or not, to start the
    /// module again.
    pub fn compiled(&self) -> CompiledModule {
        CompiledModule {
            engine: self.engine.clone(),
            code: Arc::clone(&self.code),
            unoptimised: self.unoptimised(),
        }
    }

    /// Returns the module's file if it is still to be optimised.
    pub fn unoptimised(&self) -> Option<Arc<[u8]>> {
        self.unoptimised.clone()
    }

    /// Returns the memory of the handler without its instances, in bytes: code, data segments,
    /// snapshot, and the module's file while it is still to be optimised.
    pub fn memory(&self) -> usize {
        let file = self.unoptimised.as_ref().map_or(0, |file| file.len());
        self.code.size() + self.image_bytes() + file
    }

    /// Returns whether instances are reset after a request, rather than created anew.
    pub fn resets_instances(&self) -> bool {
        self.kept.is_some()
    }

    /// Returns whether the module draws random bits, so that its requests need a seed.
    pub fn draws(&self) -> bool {
        self.draws
    }

    /// Returns the values with which the module was started.
    pub fn values(&self) -> &Arc<Values> {
        &self.values
    }

    /// Returns the limits within which the handler runs.
    pub fn limits(&self) -> &CallLimits {
        self.engine.limits()
    }

    /// Returns the memory of the snapshot and the data segments, in bytes.
    pub fn image_bytes(&self) -> usize {
        let data = self.code.data.as_ref().map_or(0, |data| data.bytes.len());
        self.kept.as_ref().map_or(0, |(snapshot, _)| snapshot.bytes()) + data
    }

    /// Frees the buffers that are kept for the responses of all versions.
    pub fn free_buffers(&self) {
        self.engine.responses().clear();
    }

    /// Sets whether this version serves. If it does, idle instances are kept from now on; otherwise
    /// all are dropped. A new handler keeps none until this is called.
    pub fn set_serving(&self, serves: bool) {
        if let Some((_, idle)) = &self.kept {
            idle.set_kept(serves);
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns an instance for a call that has its permit: an idle one, or a new one that
    /// is initialised or loaded from the snapshot.
    pub(super) async fn instance(&self, state: CallState) -> Result<Box<Instance>, Stopped> {
        self.engine.wake_ticker();
        let Some((snapshot, idle)) = &self.kept else {
            let logs = state.log_lines_left > 0;
            let mut instance =
                Instance::new(self.engine.slots().enter(), &self.code, state.with(&self.values).quiet())
                    .await?;
            instance.initialise().await?;
            if logs {
                instance.unmute(self.engine.limits());
            }
            return Ok(Box::new(instance));
        };
        if let Some(mut instance) = idle.take() {
            instance.begin(state);
            return Ok(instance);
        }
        let mut instance =
            Instance::new(self.engine.slots().enter(), &self.code, state.with(&self.values)).await?;
        snapshot.load(&mut instance, !self.grows.load(Relaxed))?;
        Ok(Box::new(instance))
    }

    /// Resets an instance that has answered its request, and keeps it for the next. An
    /// instance that cannot be reset is dropped.
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
