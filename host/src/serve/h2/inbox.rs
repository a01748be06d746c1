//! Requests of one connection that no worker has taken yet. A worker answers one after the other, so
//! that the memory of a request serves the next one.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;

/// A request, and the way to answer it.
pub(super) type Arrived = (Request<RecvStream>, SendResponse<Bytes>);

/// Requests that wait for a worker, or workers that wait for a request.
#[derive(Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    requests: VecDeque<Arrived>,
    idle: Vec<Waker>,
    /// Requests that workers answer.
    taken: usize,
}

impl Inbox {
    /// Adds a request, and wakes a worker that waits for one.
    pub(super) fn put(&self, request: Arrived) {
        let idle = self.with(|state| {
            state.requests.push_back(request);
            state.idle.pop()
        });
        if let Some(idle) = idle {
            idle.wake();
        }
    }

    /// Returns whether all workers that were woken have a request, and another one waits.
    pub(super) fn needs_worker(&self) -> bool {
        self.with(|state| !state.requests.is_empty())
    }

    /// Waits for the next request.
    pub(super) async fn next(&self) -> Arrived {
        poll_fn(|cx| {
            self.with(|state| match state.requests.pop_front() {
                Some(request) => {
                    state.taken += 1;
                    Poll::Ready(request)
                }
                None => {
                    if !state.idle.iter().any(|idle| idle.will_wake(cx.waker())) {
                        state.idle.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Notes that a request was answered.
    pub(super) fn answered(&self) {
        self.with(|state| state.taken -= 1);
    }

    /// Returns the number of requests that were not answered yet.
    pub(super) fn open(&self) -> usize {
        self.with(|state| state.taken + state.requests.len())
    }

    /// Forgets the workers, which all wait.
    pub(super) fn forget_idle(&self) {
        self.with(|state| state.idle = Vec::new());
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
