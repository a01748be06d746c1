//! A call by itself, and what it used: for those who write a handler.

use std::time::{Duration, Instant};

use bytes::Bytes;
use host_http::message::Message;
use host_http::request_id::RequestId;

use crate::call::answer;
use crate::failure::CallError;
use crate::handler::HandlerModule;
use crate::instance::CallState;
use crate::memory;

/// What one call used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// From the request's bytes to the response's.
    pub time: Duration,
    /// The memory's size when it ended, in bytes.
    pub memory: usize,
    /// The most of it that was written to, in whole pages of the system's; not
    /// known where instances are made anew.
    pub written: Option<usize>,
}

impl HandlerModule {
    /// Calls a module that does not serve with one request, and measures that.
    pub async fn call_and_measure(
        &self,
        request: &Message,
        id: RequestId,
    ) -> (Result<Bytes, CallError>, Usage) {
        let mut usage = Usage::default();
        let result = async {
            let _permit = self.engine().begin_candidate().await?;
            let state = CallState::new(self.engine().limits(), id, Instant::now());
            let mut instance = self.new_instance(state).await?;
            let since = Instant::now();
            let result = answer(&mut instance, request, self.engine()).await;
            let (time, memory) = (since.elapsed(), memory::size(&instance));
            let written = instance.pages.as_ref().map(|pages| pages.written_at_most(memory));
            usage = Usage { time, memory, written };
            match result {
                Ok(response) => Ok(response),
                Err(failure) => Err(failure.with_panic(&mut instance).await),
            }
        };
        let result = result.await;
        (result, usage)
    }
}
