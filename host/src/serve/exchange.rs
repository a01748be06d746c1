//! Answers requests: checks the head, reads the body, calls the current version,
//! checks its response, and logs one line.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use host_http::forwarded;
use host_http::message::Message;
use host_http::request::{self, Origin, Tls};
use host_http::request_head::RequestHead;
use host_http::request_id::RequestId;
use host_http::response::{Own, Places};
use host_wasm::{Call, Ended};

use crate::clock;
use crate::fault::{Fault, Whose};
use crate::metrics::requests::{Answered, CallTimes};
use crate::rollout::exchange::Received;
use crate::seed;
use crate::serve::buffers::Share;
use crate::serve::channel::Channel;
use crate::serve::client::Client;
use crate::serve::date;
use crate::serve::put::{connection, put};
use crate::serve::stream::READ_FIRST;
use crate::serve::{access_log, redirect};
use crate::site::current::{Cached, Serving};
use crate::site::directory::{Directory, Site};
use crate::site::version;
use crate::telemetry::request_line;

/// Buffers of a connection that its exchanges (requests with their responses) reuse.
pub struct Reused {
    message: Message,
    places: Places,
    sites: Cached<Directory>,
}

impl Client {
    /// Allocates the buffers for exchanges, large enough for most requests.
    pub fn memory(&self) -> Reused {
        let message = Message { head: Vec::with_capacity(READ_FIRST), ..Message::default() };
        Reused { message, places: Places::default(), sites: self.app.sites.cached() }
    }

    /// Answers one request, whose head had `length` bytes. Returns whether another request may
    /// follow on an HTTP/1.1 connection.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client reads too slowly.
    pub(super) async fn answer<C: Channel>(
        &self,
        channel: &mut C,
        head: RequestHead<'_>,
        length: usize,
        Reused { message, places, sites }: &mut Reused,
    ) -> io::Result<bool> {
        let (started, time) = clock::both();
        let mut received = length;
        let id = self.ids.request();
        let trace = self.trace(&id, head.fields);
        let from = forwarded::client(self.peer, head.fields, self.trusted());
        let (client, client_net) = if from == self.peer {
            (Cow::Borrowed(&*self.peer_text), self.client_net)
        } else {
            (Cow::Owned(from.to_string()), forwarded::client_net(from, &self.settings.trusted))
        };
        let (mut version_called, mut site_found) = (None, None);
        let (mut called, mut waited) = (started, Duration::ZERO);
        let sites = sites.get();
        let mut has_unread = channel.has_body();
        // Whether little time has passed since the head, so that the clock need not be read.
        let mut is_quick = !has_unread;
        let tls = self.tls();
        let outcome = async {
            let schemes = if self.redirect.is_some() { Tls::AsSent } else { tls };
            let target = request::check_head(&head, schemes)?;
            channel.check_head(schemes)?;
            if let Some(answer) = self.challenge(head.method, target.path()) {
                return Ok((answer, Share::default()));
            }
            if let Some(port) = self.redirect {
                let response = redirect::to(&head, &target, port)?;
                return Ok((Bytes::from(response), Share::default()));
            }
            let site = sites.find(|| request::host(&head, &target), target.path()).map_err(Fault::NoSite)?;
            site_found = Some(site);
            let mut _share = Share::default();
            if has_unread {
                // Boxed to keep the future small.
                let (limits, buffers) = (&self.settings.limits, &self.app.buffers);
                _share = Box::pin(channel.read_body(&head, limits, buffers, &mut message.body)).await?;
                has_unread = false;
                called = Instant::now();
            }
            let body_bytes = message.body.iter().map(Bytes::len).sum();
            received += body_bytes;
            let origin = Origin { id: &id, client: &client, time, tls, trace: trace.as_ref() };
            let strip = site.place.stripped();
            request::encode(&mut message.head, &head, target, strip, body_bytes, &origin);

            if let Some(cause) = self.app.notice.get() {
                return Err(Fault::NotServed { cause });
            }
            let version = version_called.insert(site.swapper.version_for(head.fields, from, &client));
            if version.module.draws() {
                message.seed = seed::draw();
            }
            let response = match version.module.call_for(client_net, message, id, called) {
                Call::Over(response) => response?,
                Call::Running(call) => {
                    is_quick = false;
                    // Earlier responses do not wait for this one.
                    channel.flush().await.map_err(|_| Fault::ClientGone)?;
                    let ended = Box::pin(unless_gone(call, channel)).await?;
                    waited = ended.waited;
                    ended.result?
                }
            };
            let share = self.app.buffers.share(response.len(), C::UNCOUNTED)?;
            Ok::<_, Fault>((response, share))
        };
        let outcome = outcome.await;
        // Earlier responses could not be sent whole, so nothing may follow them.
        channel.check()?;
        let version = version_called.as_ref().map(|version: &Serving| version.label.number);
        let shown = version.filter(|_| self.settings.tell_version);
        let site_name = site_found.and_then(|site: &Arc<Site>| site.shown());
        // A request that is refused before the call may have a secret of the site, too.
        let not_called =
            site_found.filter(|_| version_called.is_none()).map(|site: &Arc<Site>| site.swapper.current());
        let serving = version_called.as_ref().or(not_called.as_ref());
        let target = masked(serving, head.target);
        let target = request_line::target(&target);
        let mut closes = (has_unread && C::ENDS_WITH_UNREAD) || self.is_last() || !head.keeps_alive();
        let mut put = |response: &[u8], head_max: usize, closes: bool, channel: &mut C| {
            let connection = connection(closes, head.version);
            let date = date::of(if is_quick { time } else { SystemTime::now() });
            let own = Own { id: &id, version: shown, connection, hsts: self.hsts(), date: &date };
            put(channel, response, head.method, head_max, &own, places)
        };
        let head_max = version_called
            .as_ref()
            .map_or(usize::MAX, |version: &Serving| version.module.limits().response_head_max);
        let answered = outcome
            .and_then(|(response, share)| Ok((put(&response, head_max, closes, channel)?, response, share)));
        let (answer, response, share, fault) = match answered {
            Ok((answer, response, share)) => (answer, response, share, None),
            Err(fault) => {
                let text = fault.to_string();
                let told = masked(serving, &text);
                let page = Bytes::from(fault.page(self.settings.tell_cause.then_some(&told)));
                // Under `host dev`, the errors of a compiler follow: the terminal has them already.
                let cause = told.lines().next().unwrap_or_default().to_owned();
                let (request, version) = ((head.method, &*target), version_called.as_ref());
                let version = version.map(|version: &Serving| version.label.number);
                self.app.failed((&fault, &cause), time, id.to_string(), request, (site_name, version));
                closes |= fault.leaves_unread() && C::ENDS_WITH_UNREAD;
                let answer = put(&page, usize::MAX, closes, channel).map_err(io::Error::other)?;
                (answer, page, Share::default(), Some((fault, cause)))
            }
        };
        let took = started.elapsed();
        let call = version_called.as_ref().map(|_| {
            let ran = (started + took).saturating_duration_since(called).saturating_sub(waited);
            CallTimes { ran, waited }
        });
        let sent = answer.head + answer.body.len();
        let counted = Answered { method: head.method, status: answer.status, received, sent, took, call };
        let metrics = site_found.map_or(&self.app.metrics, |site: &Arc<Site>| &site.metrics);
        metrics.requests.add(&counted, version_called.as_ref().map(|version| &*version.requests));
        if let (Some(site), Some(version)) = (site_found, &version_called) {
            let fault = fault.as_ref().map(|(fault, _)| fault.entry());
            let target = request::canonical_target(&head);
            let received = Received { method: head.method, target: &target, message, time, id: &id };
            site.probation.see(received, client_net, answer.status, fault, version.label.number);
            site.journal.see(received, answer.status, fault, version.label.number, started);
        }
        if let Some((fault, cause)) = &fault {
            self.record(message, &id, time, version_called.as_deref(), (fault, cause));
        }
        access_log::write(&access_log::Line {
            request: Some((&head, &target)),
            client: &client,
            peer: &self.peer_text,
            answered: &counted,
            length: answer.body.len(),
            site: site_name,
            version,
            id: &id,
            trace: trace.as_ref(),
            serving,
            fault: fault.as_ref().map(|(fault, cause)| (fault, cause.as_str())),
        });
        message.clear();
        channel.send(response, answer.body, share, started).await?;
        Ok(!closes)
    }

    /// Passes a request to the recorder, if recording is on and the fault is one of the handler.
    fn record(
        &self,
        message: &mut Message,
        id: &RequestId,
        time: SystemTime,
        version: Option<&Arc<version::Version>>,
        (fault, cause): (&Fault, &str),
    ) {
        if let (Some(recorder), Some(version)) = (&self.app.recorder, version)
            && fault.entry().whose == Whose::Handler
        {
            recorder.record(std::mem::take(message), id, time, version, fault.entry().name, cause);
        }
    }
}

/// Waits for the result of a call. If the client resets its connection or stream first, abandons
/// the call and returns a fault.
async fn unless_gone<C: Channel>(call: impl Future<Output = Ended>, channel: &mut C) -> Result<Ended, Fault> {
    tokio::select! {
        biased;
        ended = call => Ok(ended),
        () = channel.gone() => Err(Fault::ClientGone),
    }
}

/// Masks the secrets of a version, if one is given, in a text.
fn masked<'a>(version: Option<&Serving>, text: &'a str) -> Cow<'a, str> {
    version.map_or(Cow::Borrowed(text), |version| version.mask(text))
}
