//! Queue of the requests of one connection that no worker has taken yet. A worker answers requests
//! one after the other, and reuses its memory for each.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;

/// Request that has arrived, and the handle with which it is answered.
pub(super) type Arrived = (Request<RecvStream>, SendResponse<Bytes>);

/// Queue of requests that wait for a worker, and list of workers that wait for a request.
#[derive(Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    requests: VecDeque<Arrived>,
    idle: Vec<Waker>,
    /// Number of requests that workers are answering.
    taken: usize,
}

impl Inbox {
    /// Adds a request, and wakes an idle worker, if there is one.
    pub(super) fn put(&self, request: Arrived) {
        let idle = self.with(|state| {
            state.requests.push_back(request);
            state.idle.pop()
        });
        if let Some(idle) = idle {
            idle.wake();
        }
    }

    /// Returns whether a request still waits after all woken workers were polled, so that another
    /// worker is needed.
    pub(super) fn needs_worker(&self) -> bool {
        self.with(|state| !state.requests.is_empty())
    }

    /// Waits for a request, and removes it from the queue.
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

    /// Records that a worker has answered its request.
    pub(super) fn answered(&self) {
        self.with(|state| state.taken -= 1);
    }

    /// Returns the number of requests that were not answered yet.
    pub(super) fn open(&self) -> usize {
        self.with(|state| state.taken + state.requests.len())
    }

    /// Removes the wakers of idle workers, after these workers were dropped.
    pub(super) fn forget_idle(&self) {
        self.with(|state| state.idle = Vec::new());
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
