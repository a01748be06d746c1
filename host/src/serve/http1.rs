//! Answers requests of HTTP/1.1, one after the other.

use std::io;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use host_http::h1::{BadMessage, Framing, HeadParser};
use host_http::request::{BadRequest, Tls};
use host_http::request_head::RequestHead;
use host_http::response::{Checked, Own};

use crate::config::connection::ConnectionLimits;
use crate::fault::Fault;
use crate::serve::body;
use crate::serve::buffers::{Buffers, Share, UNCOUNTED};
use crate::serve::channel::Channel;
use crate::serve::client::Client;
use crate::serve::exchange::Reused;
use crate::serve::stream::Stream;

/// First bytes of a PROXY protocol header, in version 1 and, behind empty lines, in version 2.
const PROXY: [&[u8]; 3] = [b"PROXY TCP", b"PROXY UNKNOWN", b"\0\r\nQUIT\n"];

/// Cause of the refusal of a PROXY protocol header.
const OF_A_PROXY: BadMessage = BadMessage::Malformed {
    what: "it begins with a header of the PROXY protocol, which this address does not take; expected none, or `,proxy` \
           behind the address of --listen",
    section: "3",
};

/// A request whose head has arrived.
pub(super) struct Arrival<'a> {
    /// Length of the head at the start of the input, in bytes.
    pub(super) length: usize,
    /// Framing of the body.
    pub(super) framing: Framing,
    /// Parser that has read the head.
    pub(super) parser: &'a HeadParser,
}

impl Client {
    /// Answers the request at the start of the input. Returns whether another request may follow
    /// it.
    pub(super) async fn answer_next(
        &self,
        stream: &mut Stream,
        Arrival { length, framing, parser }: Arrival<'_>,
        reused: &mut Reused,
    ) -> io::Result<bool> {
        let bytes = stream.input.split_to(length);
        let head = parser.head(&bytes);
        self.answer(&mut Http1 { stream, framing }, head, length, reused).await
    }

    /// Answers the message at the start of the input with an error. `why` says what is wrong with
    /// it.
    pub(super) async fn refuse_next(&self, stream: &mut Stream, why: BadMessage) -> io::Result<()> {
        let mut begin = &stream.input[..];
        while let Some(behind) = begin.strip_prefix(b"\r\n") {
            begin = behind;
        }
        let (is_head, received) = (begin.starts_with(b"HEAD "), begin.len());
        let is_first = self.ids.count() == 0;
        let why =
            if is_first && PROXY.iter().any(|start| begin.starts_with(start)) { OF_A_PROXY } else { why };
        self.refuse(&mut Http1 { stream, framing: Framing::None }, why.into(), is_head, received).await
    }
}

/// HTTP/1.1 connection on which one request is answered.
struct Http1<'a> {
    stream: &'a mut Stream,
    framing: Framing,
}

impl Channel for Http1<'_> {
    const ENDS_WITH_UNREAD: bool = true;
    const UNCOUNTED: usize = UNCOUNTED;

    fn has_body(&self) -> bool {
        self.framing != Framing::None
    }

    fn check_head(&self, _: Tls<'_>) -> Result<(), BadRequest> {
        Ok(())
    }

    async fn read_body(
        &mut self,
        head: &RequestHead<'_>,
        limits: &ConnectionLimits,
        buffers: &Buffers,
        body: &mut Vec<Bytes>,
    ) -> Result<Share, Fault> {
        let (stream, framing) = (&mut *self.stream, self.framing);
        let is_too_long = matches!(framing, Framing::Length(length) if length > limits.body_max as u64);
        if stream.input.is_empty() && head.expects_continue() && !is_too_long {
            stream.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let share = body::read_body(stream, framing, limits, buffers, body).await?;
        stream.is_complete();
        Ok(share)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().await
    }

    async fn gone(&mut self) {
        self.stream.reset().await;
    }

    fn check(&mut self) -> io::Result<()> {
        self.stream.check()
    }

    fn put_head(&mut self, response: &Checked<'_>, own: &Own<'_>) -> usize {
        let output = &mut self.stream.output;
        let before = output.len();
        response.write_head(output, own);
        output.len() - before
    }

    async fn send(
        &mut self,
        response: Bytes,
        body: Range<usize>,
        _share: Share,
        since: Instant,
    ) -> io::Result<()> {
        self.stream.send(response.get(body).unwrap_or_default(), since.into()).await
    }
}
