//! Answers messages that are refused before their head is understood.

use std::io;
use std::time::{Instant, SystemTime};

use host_http::h1::BadMessage;
use host_http::response::{Own, Places};

use crate::fault::Fault;
use crate::metrics::requests::Answered;
use crate::serve::access_log;
use crate::serve::client::Client;
use crate::serve::date;
use crate::serve::put::{CLOSE, put};
use crate::serve::stream::Stream;

impl Client {
    /// Answers a message that is refused before its head is complete or understood.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client reads too slowly.
    pub async fn refuse(&self, stream: &mut Stream, why: BadMessage) -> io::Result<()> {
        let started = Instant::now();
        let id = self.ids.request();
        let mut begin = &stream.input[..];
        while let Some(behind) = begin.strip_prefix(b"\r\n") {
            begin = behind;
        }
        let method = if begin.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let fault = Fault::from(why);
        self.app.faults.add(&fault);
        let cause = fault.to_string();
        let page = fault.page(self.settings.tell_cause.then_some(&cause));
        let date = &date::of(SystemTime::now());
        let own = Own { id: &id, version: None, connection: Some(CLOSE), hsts: self.hsts(), date };
        let mut places = Places::default();
        let answer = put(&mut stream.output, &page, method, usize::MAX, &own, &mut places);
        let answer = answer.map_err(io::Error::other)?;
        let took = started.elapsed();
        let (received, sent) = (begin.len(), stream.output.len());
        let answered = Answered { method: "other", status: answer.status, received, sent, took, call: None };
        self.app.metrics.requests.add(&answered, None);
        access_log::write(&access_log::Line {
            request: None,
            client: &self.peer_text,
            peer: &self.peer_text,
            answered: &answered,
            length: answer.body.len(),
            site: None,
            version: None,
            id: &id,
            trace: None,
            serving: None,
            fault: Some((&fault, &cause)),
        });
        stream.send(page.get(answer.body).unwrap_or_default(), started.into()).await
    }
}
