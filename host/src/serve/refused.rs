//! Answers messages that are refused before their head is parsed.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use host_http::request_id::RequestId;
use host_http::response::{Own, Places};

use crate::fault::Fault;
use crate::metrics::requests::Answered;
use crate::serve::access_log;
use crate::serve::buffers::Share;
use crate::serve::channel::Channel;
use crate::serve::client::Client;
use crate::serve::date;
use crate::serve::put::{CLOSE, put};

impl Client {
    /// Answers a message that is refused before its head is complete or parsed. `received` is the
    /// number of bytes that have arrived of it.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client reads too slowly.
    pub(super) async fn refuse<C: Channel>(
        &self,
        channel: &mut C,
        fault: Fault,
        is_head: bool,
        received: usize,
    ) -> io::Result<()> {
        let started = Instant::now();
        let id = self.ids.request();
        let method = if is_head { "HEAD" } else { "GET" };
        self.app.faults.add(&fault);
        let cause = fault.to_string();
        let page = fault.page(self.settings.tell_cause.then_some(&cause));
        let date = &date::of(SystemTime::now());
        let own = Own { id: &id, version: None, connection: Some(CLOSE), hsts: self.hsts(), date };
        let mut places = Places::default();
        let answer = put(channel, &page, method, usize::MAX, &own, &mut places);
        let answer = answer.map_err(io::Error::other)?;
        let took = started.elapsed();
        let sent = answer.head + answer.body.len();
        let answered = Answered { method: "other", status: answer.status, received, sent, took, call: None };
        self.app.metrics.requests.add(&answered, None);
        self.log_refused(&answered, answer.body.len(), &id, (&fault, &cause));
        channel.send(page.into(), answer.body, Share::default(), started).await
    }

    /// Counts `count` requests that the crate `h2` has refused and answered itself. If `is_said`,
    /// writes a log line about the last of them.
    pub(super) fn was_refused(&self, count: u64, is_said: bool) {
        let fault = Fault::Http2;
        let (method, status, took) = ("other", fault.entry().status.as_u16(), Duration::ZERO);
        let answered = Answered { method, status, received: 0, sent: 0, took, call: None };
        for left in (0..count).rev() {
            let id = self.ids.request();
            self.app.faults.add(&fault);
            self.app.metrics.requests.add(&answered, None);
            if left == 0 && is_said {
                self.log_refused(&answered, 0, &id, (&fault, &fault.to_string()));
            }
        }
    }

    fn log_refused(&self, answered: &Answered<'_>, length: usize, id: &RequestId, fault: (&Fault, &str)) {
        access_log::write(&access_log::Line {
            request: None,
            client: &self.peer_text,
            peer: &self.peer_text,
            answered,
            length,
            site: None,
            version: None,
            id,
            trace: None,
            serving: None,
            fault: Some(fault),
        });
    }
}
