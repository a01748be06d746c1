//! Reads the PROXY protocol header of a connection, and not one byte more, because the bytes after
//! the header belong to TLS or HTTP.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use host_http::proxy_header::{self, Next, Origin, V1_MAX};
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;

use crate::net::listener::Connection;

/// Reads the PROXY protocol header of a connection. Returns the client that the header names, or
/// [`None`] if the peer has closed the connection before it sent a byte.
///
/// # Errors
///
/// When the connection ends within the header, or the bytes are not a valid header.
pub async fn read(connection: &Connection) -> io::Result<Option<Origin>> {
    // Most headers are shorter than the longest of version 1.
    let mut header = Vec::with_capacity(V1_MAX);
    loop {
        let next = proxy_header::read(&header);
        let wanted = match next.map_err(|bad| io::Error::new(ErrorKind::InvalidData, bad))? {
            Next::Done(origin) => return Ok(Some(origin)),
            Next::Bytes(count) => count,
            Next::Line(most) => line(connection, most).await?,
        };
        let begin = header.len();
        header.resize(begin + wanted, 0);
        let room = header.get_mut(begin..).unwrap_or_default();
        match receive(connection, room, RecvFlags::empty()).await? {
            0 if begin == 0 => return Ok(None),
            0 => {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the connection ended within the header",
                ));
            }
            received => header.truncate(begin + received),
        }
    }
}

/// Waits for bytes, and returns how many to read, at most `most`: up to and including the first
/// line feed, or all received bytes if there is none. Does not consume the bytes. Returns 1 at the
/// end of the connection, which the next read then detects.
async fn line(connection: &Connection, most: usize) -> io::Result<usize> {
    let mut ahead = [0; V1_MAX];
    let room = ahead.get_mut(..most).unwrap_or_default();
    let received = receive(connection, room, RecvFlags::PEEK).await?;
    let end = room.iter().take(received).position(|byte| *byte == b'\n');
    Ok(end.map_or(received, |end| end + 1).max(1))
}

/// Waits for bytes, and receives them into `room`. Returns their number; 0 means the end of the
/// connection.
async fn receive(connection: &Connection, room: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    loop {
        let received = match connection {
            Connection::Tcp(stream, _) => {
                stream.readable().await?;
                stream.try_io(Interest::READABLE, || try_receive(stream, room, flags))
            }
            Connection::Unix(stream) => {
                stream.readable().await?;
                stream.try_io(Interest::READABLE, || try_receive(stream, room, flags))
            }
        };
        match received {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            received => return received,
        }
    }
}

fn try_receive(stream: impl AsFd, room: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (received, _) = recv(stream, room, flags)?;
    Ok(received)
}
