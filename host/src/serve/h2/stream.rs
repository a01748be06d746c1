//! Answers the requests of an HTTP/2 connection.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use host_http::h1::{BadMessage, Framing, HeadParser, MessageLimits};
use host_http::h2::{agrees, response_head, write_head};
use host_http::request::{BadRequest, Tls};
use host_http::request_head::{RequestHead, Version};
use host_http::response::{Checked, Own};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::config::connection::ConnectionLimits;
use crate::fault::Fault;
use crate::serve::body::check_length;
use crate::serve::body_pace::Pace;
use crate::serve::body_pieces::Pieces;
use crate::serve::buffers::{Buffers, Share};
use crate::serve::channel::Channel;
use crate::serve::client::Client;
use crate::serve::exchange::Reused;
use crate::serve::h2::inbox::{Arrived, Inbox};
use crate::serve::h2::shared::Shared;
use crate::serve::linger::{LINGER, LINGER_MAX};
use crate::serve::write_pace::{WriteBounds, WritePace};

/// Maximum length of a body whose memory is included in [`STREAM`], in bytes.
const SHORT: usize = 4 << 10;

/// Memory of one stream besides the copies of its head, in bytes: its state, and a short body in
/// each direction. It counts towards the memory budget, because a connection may have many streams.
const STREAM: usize = (4 << 10) + 2 * SHORT;

/// Memory of one header field besides its name and its value, in bytes.
const FIELD: usize = 128;

/// Number of copies of a head that exist at the same time: its fields, its form in HTTP/1.1, and
/// its canonical form.
const HEAD_COPIES: usize = 3;

/// Answers requests from `inbox`, one after the other. Never returns.
pub(super) async fn work(client: &Client, shared: &Shared, inbox: &Inbox) {
    let mut memory = Memory::new(client);
    loop {
        let request = inbox.next().await;
        answer(client, shared, request, &mut memory).await;
        if memory.head.capacity() > SHORT {
            memory = Memory::new(client);
        }
        inbox.answered();
    }
}

/// Buffers that a worker reuses for each request.
struct Memory {
    reused: Reused,
    parser: HeadParser,
    head: Vec<u8>,
}

impl Memory {
    fn new(client: &Client) -> Memory {
        Memory { reused: client.memory(), parser: HeadParser::default(), head: Vec::with_capacity(1 << 10) }
    }
}

/// Answers one request.
async fn answer(
    client: &Client,
    shared: &Shared,
    (request, respond): Arrived,
    Memory { reused, parser, head: bytes }: &mut Memory,
) {
    // Lets other connections of the thread go on beside many requests at once.
    consume_budget().await;
    let limits = &client.settings().limits;
    let (parts, body) = request.into_parts();
    bytes.clear();
    parser.reset();
    write_head(bytes, &parts);
    let mut channel = Http2 {
        parts: &parts,
        framing: Framing::None,
        body,
        respond,
        head: None,
        shared,
        write: WriteBounds::from(limits),
    };
    let memory = STREAM + HEAD_COPIES * bytes.len() + FIELD * parts.headers.len();
    let share = client.app.buffers.share(memory, 0);
    let read = match &share {
        Ok(_) => parser.read(bytes, &MessageLimits::from(limits)).map_err(Fault::from),
        Err(_) => Ok(None),
    };
    let answered = match (share, read) {
        (Ok(_share), Ok(Some((length, framing)))) => {
            channel.framing = framing;
            let head = RequestHead { version: Version::Http2, ..parser.head(bytes) };
            client.answer(&mut channel, head, length, reused).await.map(drop)
        }
        (share, read) => {
            let too_long = || BadMessage::HeadTooLong { limit: limits.head_max }.into();
            let why = share.err().or(read.err()).unwrap_or_else(too_long);
            client.refuse(&mut channel, why, parts.method == http::Method::HEAD, bytes.len()).await
        }
    };
    if let Err(error) = answered {
        debug!(peer = %client.peer(), %error, "response not sent whole");
    } else if !channel.body.is_end_stream() {
        let _waiting = shared.wait();
        let _ = timeout(LINGER, discard(&mut channel.body)).await;
    }
}

/// Reads and discards the rest of a body, because some clients do not read the response before they
/// have sent the whole body. Gives up after [`LINGER_MAX`] bytes.
async fn discard(body: &mut RecvStream) {
    let mut left = LINGER_MAX;
    while let Some(Ok(data)) = poll_fn(|cx| body.poll_data(cx)).await {
        let _ = body.flow_control().release_capacity(data.len());
        left = match left.checked_sub(data.len()) {
            Some(left) => left,
            None => return,
        };
    }
}

/// Stream on which one request is answered.
struct Http2<'a> {
    parts: &'a Parts,
    framing: Framing,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    /// Head of the response, between [`Channel::put_head`] and [`Channel::send`].
    head: Option<Response<()>>,
    shared: &'a Shared,
    write: WriteBounds,
}

/// Response body that counts towards the memory budget until its last part is sent.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Channel for Http2<'_> {
    const ENDS_WITH_UNREAD: bool = false;
    const UNCOUNTED: usize = SHORT;

    fn has_body(&self) -> bool {
        !self.body.is_end_stream()
    }

    fn check_head(&self, tls: Tls<'_>) -> Result<(), BadRequest> {
        agrees(self.parts, tls)
    }

    async fn read_body(
        &mut self,
        head: &RequestHead<'_>,
        limits: &ConnectionLimits,
        buffers: &Buffers,
        body: &mut Vec<Bytes>,
    ) -> Result<Share, Fault> {
        let stated = match self.framing {
            Framing::Length(length) => check_length(length, limits)?,
            Framing::None | Framing::Chunked => 0,
        };
        if head.expects_continue() {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            let _ = self.respond.send_informational(go_on);
        }
        let (mut pieces, mut pace) = (Pieces::new(body, buffers, SHORT), Pace::new(limits, Instant::now()));
        // Bytes of the body, and how many the pace was told of before they were whole frames.
        let (mut received, mut told) = (0_usize, 0_usize);
        let _waiting = self.shared.wait();
        loop {
            let data = timeout_at(pace.next_look(), poll_fn(|cx| self.body.poll_data(cx))).await;
            let came = match data {
                Ok(None) => {
                    // Trailers have memory of their own until they are taken.
                    let _ = poll_fn(|cx| self.body.poll_trailers(cx)).await;
                    return Ok(pieces.end());
                }
                Ok(Some(Ok(data))) => {
                    received += data.len();
                    check_length(received as u64, limits)?;
                    // Copied, because a small frame holds on to a large buffer.
                    pieces.put(&data, stated.saturating_sub(received))?;
                    let _ = self.body.flow_control().release_capacity(data.len());
                    data.len().saturating_sub(std::mem::take(&mut told))
                }
                Ok(Some(Err(error))) if error.is_reset() && error.is_remote() => {
                    return Err(Fault::ClientGone);
                }
                Ok(Some(Err(error))) => return Err(Fault::BodyUnreadable(error.to_string())),
                Err(_) => {
                    let part = self.shared.meter().part_of_body();
                    let id = self.body.stream_id().as_u32();
                    let arrived = part.map_or(0, |(stream, bytes)| if stream == id { bytes } else { 0 });
                    let new = arrived.saturating_sub(told);
                    told += new;
                    new
                }
            };
            pace.came(came, Instant::now()).map_err(Fault::BodyTooSlow)?;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn gone(&mut self) {
        // A connection that has ended is an error here.
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
    }

    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn put_head(&mut self, response: &Checked<'_>, own: &Own<'_>) -> usize {
        let (head, length) = response_head(response, own);
        self.head = Some(head);
        length
    }

    async fn send(
        &mut self,
        response: Bytes,
        body: Range<usize>,
        share: Share,
        _since: std::time::Instant,
    ) -> io::Result<()> {
        let head = self.head.take().unwrap_or_default();
        let is_empty = response.get(body.clone()).is_none_or(<[u8]>::is_empty);
        let mut stream = self.respond.send_response(head, is_empty).map_err(io::Error::other)?;
        if is_empty {
            return Ok(());
        }
        let bytes = response.slice(body);
        if bytes.len() <= SHORT && !self.shared.is_blocked() {
            stream.reserve_capacity(bytes.len());
            if stream.capacity() >= bytes.len() {
                return stream.send_data(bytes, true).map_err(io::Error::other);
            }
        }
        send(&mut stream, Bytes::from_owner(Counted { bytes, _share: share }), self.shared, self.write).await
    }
}

/// Sends a body as fast as the flow-control windows of the client allow. Fails if the client reads
/// too slowly.
async fn send(
    stream: &mut SendStream<Bytes>,
    mut body: Bytes,
    shared: &Shared,
    write: WriteBounds,
) -> io::Result<()> {
    // Pace of the client, measured since there was no room.
    let mut pace: Option<WritePace> = None;
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let mut waiting = None;
        let room = poll_fn(|cx| {
            let room = match stream.poll_capacity(cx) {
                Poll::Ready(Some(room)) => room.map_err(io::Error::other)?,
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => stream.capacity(),
            };
            if room > 0 {
                return Poll::Ready(io::Result::Ok(room));
            }
            if let Poll::Ready(reason) = stream.poll_reset(cx) {
                return Poll::Ready(Err(io::Error::other(reason.map_or_else(
                    |error| error.to_string(),
                    |reason| format!("the client reset the stream: {reason}"),
                ))));
            }
            waiting.get_or_insert_with(|| shared.wait());
            let pace = pace.get_or_insert_with(|| WritePace::new(write, Instant::now()));
            loop {
                ready!(pace.poll_next_try(cx));
                pace.took_in(0, Instant::now())?;
            }
        });
        let room = room.await.inspect_err(|_| stream.send_reset(h2::Reason::CANCEL))?;
        let next = body.split_to(room.min(body.len()));
        if let Some(pace) = &mut pace {
            let taken = pace.took_in(next.len(), Instant::now());
            taken.inspect_err(|_| stream.send_reset(h2::Reason::CANCEL))?;
        }
        stream.send_data(next, body.is_empty()).map_err(io::Error::other)?;
    }
    Ok(())
}
