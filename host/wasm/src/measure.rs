//! Makes one call and measures it, for the tools of handler authors.

use std::time::{Duration, Instant};

use bytes::Bytes;
use host_http::message::Message;
use host_http::request_id::RequestId;

use crate::call::answer;
use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::memory;
use crate::started::HandlerModule;

/// Time and memory of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time from before the request is written to the instance until the response is read. Does not
    /// include creating the instance.
    pub time: Duration,
    /// Size of the instance's memory at the end of the call, in bytes.
    pub memory: usize,
    /// Bytes by which the memory grew during the call.
    pub grown: usize,
    /// Upper bound on the bytes of memory that the call wrote to, in whole pages of the system;
    /// [`None`] if writes are not tracked, because instances are not reset.
    pub written: Option<usize>,
}

impl HandlerModule {
    /// Calls the handler with one request, and measures the call. Uses a permit for calls of
    /// candidates, so that it does not compete with the requests of clients.
    pub async fn call_and_measure(
        &self,
        request: &Message,
        id: RequestId,
    ) -> (Result<Bytes, CallError>, Usage) {
        let state = CallState::new(self.engine().limits(), id, Instant::now());
        self.measure(request, state).await
    }

    /// Calls the handler with a request that was served before, and measures the call. Drops the
    /// log lines of the call. Uses a permit for calls of candidates, so that it does not compete
    /// with the requests of clients.
    pub async fn call_again(&self, request: &Message) -> (Result<Bytes, CallError>, Usage) {
        let state = CallState::new(self.engine().limits(), RequestId::none(), Instant::now());
        self.measure(request, state.quiet()).await
    }

    async fn measure(&self, request: &Message, mut state: CallState) -> (Result<Bytes, CallError>, Usage) {
        let mut usage = Usage::default();
        let result = async {
            let _permit = self.engine().admission().begin_candidate().await?;
            // Without the wait for the permit.
            state.deadline = Instant::now() + self.limits().deadline;
            let mut instance = self.instance(state.seeded(request.seed)).await?;
            let before = memory::size(instance.memory, &instance.store);
            let since = Instant::now();
            let result = answer(&mut instance, request, self.engine()).await;
            let (time, memory) = (since.elapsed(), memory::size(instance.memory, &instance.store));
            let written = instance.pages.as_ref().map(|pages| pages.written_at_most(memory));
            usage = Usage { time, memory, grown: memory.saturating_sub(before), written };
            match result {
                Ok(response) => {
                    self.give_back(instance);
                    Ok(response)
                }
                Err(stopped) => Err(instance.with_panic(stopped).await.into()),
            }
        };
        (result.await, usage)
    }
}
