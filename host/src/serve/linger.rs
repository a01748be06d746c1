//! Drains the input of a connection for a while after the last response, so that the client can
//! read this response.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use crate::net::socket::Socket;
use crate::serve::stream::{READ, READ_FIRST};

/// Maximum time for which a closing connection is drained. Without draining, closing a socket with
/// unread input sends a reset, which can destroy the response on its way to the client (RFC 9112,
/// section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// Maximum number of bytes to drain from a closing connection.
pub(crate) const LINGER_MAX: usize = 16 << 20;

/// Closes the sending side of a connection, and discards what the client still sends, within
/// [`LINGER`] and [`LINGER_MAX`].
pub(super) async fn linger(socket: &Socket) {
    let _ = socket.finish();
    let discard = async {
        let mut unread = BytesMut::new();
        let (mut left, mut room) = (LINGER_MAX, READ_FIRST);
        loop {
            unread.clear();
            unread.reserve(room);
            room = READ;
            let received = std::future::poll_fn(|cx| socket.poll_read(cx, &mut unread)).await;
            left = match received {
                Ok(received @ 1..) if received < left => left - received,
                _ => return,
            };
        }
    };
    let _ = timeout(LINGER, discard).await;
}
