//! Streams events to one client until the client leaves or the server ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::interval;

use crate::admin::refusal::{Refusal, error};
use crate::events::hub::{Events, Listener, STREAMS_MAX};

/// Header field in which a client that reconnects sends the id of the last event that it has
/// received.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// Time between two comments in a stream. Comments keep proxies from closing an idle connection.
pub(crate) const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// Interval between two checks whether the client is still connected.
const GONE_INTERVAL: Duration = Duration::from_secs(1);

/// Body of a response that is a stream of events or of samples.
pub(super) struct Frames {
    lines: mpsc::Receiver<Bytes>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Frames {
    pub(super) fn new(lines: mpsc::Receiver<Bytes>, permit: OwnedSemaphorePermit) -> Frames {
        Frames { lines, permit: Some(permit) }
    }

    /// Takes the permit of the stream out of the body. The caller must keep the permit until the
    /// connection ends, so that the stream counts until then.
    pub(super) fn take_permit(&mut self) -> Option<OwnedSemaphorePermit> {
        self.permit.take()
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let lines = ready!(self.lines.poll_recv(cx));
        Poll::Ready(lines.map(|lines| Ok(Frame::data(lines))))
    }
}

/// Begins a stream of events to a client.
///
/// # Errors
///
/// When there are [`STREAMS_MAX`] streams of events already.
pub(super) fn begin(
    events: &Arc<Events>,
    parts: &Parts,
    is_gone: impl Fn() -> bool + Send + 'static,
) -> Result<Frames, Refusal> {
    let permit = events.permit().ok_or_else(|| {
        let cause =
            format!("{STREAMS_MAX} clients follow the events already, which is the most; end one of them");
        error(StatusCode::SERVICE_UNAVAILABLE, cause)
    })?;
    // An id that is no text is not known either.
    let last = parts.headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or_default());
    let (sender, lines) = mpsc::channel(1);
    tokio::spawn(feed(events.listen(last), sender, is_gone));
    Ok(Frames::new(lines, permit))
}

/// Sends events to a client until the client leaves or the server ends. Takes the next event only
/// when the channel to the client has room.
async fn feed(mut listener: Listener, sender: mpsc::Sender<Bytes>, is_gone: impl Fn() -> bool) {
    let (mut comments, mut checks) = (interval(COMMENT_INTERVAL), interval(GONE_INTERVAL));
    // The first tick is due at once.
    comments.reset();
    loop {
        let lines = tokio::select! {
            biased;
            () = sender.closed() => return,
            next = listener.next() => match next {
                Some(lines) => lines,
                None => return,
            },
            _ = comments.tick() => Bytes::from_static(b": \n"),
            _ = checks.tick() => match is_gone() {
                true => return,
                false => continue,
            },
        };
        if sender.send(lines).await.is_err() {
            return;
        }
    }
}
