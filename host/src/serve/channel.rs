//! What answering a request needs of the connection: the same for each version of HTTP.

use std::io;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use host_http::request::{BadRequest, Tls};
use host_http::request_head::RequestHead;
use host_http::response::{Checked, Own};

use crate::config::connection::ConnectionLimits;
use crate::fault::Fault;
use crate::serve::buffers::{Buffers, Share};

/// Where the body of one request comes from, and its response goes.
pub(super) trait Channel {
    /// Whether a body that is not read ends the connection, because another request may only follow
    /// behind it.
    const ENDS_WITH_UNREAD: bool;

    /// Largest body whose memory is not counted, in bytes.
    const UNCOUNTED: usize;

    /// Returns whether the request has a body.
    fn has_body(&self) -> bool;

    /// Checks what the version of HTTP says of the head and the parser does not know.
    fn check_head(&self, tls: Tls<'_>) -> Result<(), BadRequest>;

    /// Reads the body, for which the client may wait to be asked.
    async fn read_body(
        &mut self,
        head: &RequestHead<'_>,
        limits: &ConnectionLimits,
        buffers: &Buffers,
        body: &mut Vec<Bytes>,
    ) -> Result<Share, Fault>;

    /// Sends earlier responses, which are not to wait for this one.
    async fn flush(&mut self) -> io::Result<()>;

    /// Waits until the client gives up.
    async fn gone(&mut self);

    /// Returns why an earlier response could not be sent whole, if one could not.
    fn check(&mut self) -> io::Result<()>;

    /// Takes the head of the response, and returns its length in bytes.
    fn put_head(&mut self, response: &Checked<'_>, own: &Own<'_>) -> usize;

    /// Sends the head that was put, and then this part of the response, whose memory counts until it
    /// is sent. The request was read at `since`.
    async fn send(
        &mut self,
        response: Bytes,
        body: Range<usize>,
        share: Share,
        since: Instant,
    ) -> io::Result<()>;
}
