//! Interface between the code that answers a request and the connection of the request. HTTP/1.1
//! and HTTP/2 implement it.

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

/// HTTP/1.1 connection or HTTP/2 stream from which the body of one request is read, and to which
/// its response is sent.
pub(super) trait Channel {
    /// Whether the connection has to end after a request whose body was not read. True for
    /// HTTP/1.1, where the next request follows after the body.
    const ENDS_WITH_UNREAD: bool;

    /// Size up to which the memory of a body does not count towards the budget, in bytes.
    const UNCOUNTED: usize;

    /// Returns whether the request has a body.
    fn has_body(&self) -> bool;

    /// Checks those rules of this version of HTTP for a request head that the parser does not
    /// check.
    fn check_head(&self, tls: Tls<'_>) -> Result<(), BadRequest>;

    /// Reads the body of the request and appends it to `body`. Sends `100 Continue` first if the
    /// client waits for it. The memory of the body counts towards the budget until the returned
    /// share is dropped.
    async fn read_body(
        &mut self,
        head: &RequestHead<'_>,
        limits: &ConnectionLimits,
        buffers: &Buffers,
        body: &mut Vec<Bytes>,
    ) -> Result<Share, Fault>;

    /// Sends the responses to earlier requests, so that they do not wait for the response to this
    /// request.
    async fn flush(&mut self) -> io::Result<()>;

    /// Waits until the client has reset the connection (HTTP/1.1) or the stream (HTTP/2).
    async fn gone(&mut self);

    /// Returns the error of an earlier response that could not be sent completely, if there was
    /// one.
    fn check(&mut self) -> io::Result<()>;

    /// Writes the head of the response to the buffer from which [`Channel::send`] sends it. Returns
    /// the length of the head in bytes.
    fn put_head(&mut self, response: &Checked<'_>, own: &Own<'_>) -> usize;

    /// Sends the head that [`Channel::put_head`] has written, and then the range `body` of
    /// `response`. `share` counts the memory of the response until it is sent. `since` is the time
    /// at which the request was read.
    async fn send(
        &mut self,
        response: Bytes,
        body: Range<usize>,
        share: Share,
        since: Instant,
    ) -> io::Result<()>;
}
