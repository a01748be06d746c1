//! Messages between the old and the new process of an upgrade. A message is its length, in four
//! bytes with the most significant one first, and JSON of that length. Some messages are followed
//! by a file descriptor or by the bytes of a module.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::site::saved::State;

/// Maximum length in bytes of the JSON of a message.
const MESSAGE_MAX: usize = 64 << 20;

/// Message of an upgrade. The variants are in the order in which they are sent.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// Bound socket. The descriptor of the socket follows the message.
    Socket {
        /// Name under which the socket was bound.
        name: String,
    },
    /// Locked file. The descriptor of the file follows the message.
    Lock,
    /// Versions of a site.
    Site {
        /// Name of the site.
        name: String,
        /// State of the site, which names modules by their hashes.
        state: Box<State>,
    },
    /// Module that is not in the state folder. The bytes of the module follow the message.
    Module {
        /// SHA-256 of the module in hexadecimal.
        sha256: String,
        /// Length of the module in bytes.
        length: usize,
    },
    /// The old process has sent everything.
    Complete {
        /// Path of the configuration file that the old process was started with, for comparison.
        configuration: Option<String>,
        /// Whether the old process has a state folder, which holds the modules that were not sent.
        has_state_dir: bool,
    },
    /// The new process can serve.
    Ready,
    /// The old process makes no more changes, and the new process may.
    Go,
    /// The new process serves.
    Serving,
    /// The new process is the server.
    Main,
    /// The new process cannot serve, and ends.
    Failed {
        /// Why the new process cannot serve.
        cause: String,
    },
}

/// Sends a message.
///
/// # Errors
///
/// When the other process has ended or does not read in time.
pub fn send(mut to: &UnixStream, message: &Message) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&json)
}

/// Sends the bytes of a module. [`Message::Module`] must have been sent before.
///
/// # Errors
///
/// When the other process has ended or does not read in time.
pub fn send_bytes(mut to: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)
}

/// Sends a file descriptor. [`Message::Socket`] or [`Message::Lock`] must have been sent before.
///
/// # Errors
///
/// When the other process has ended or does not read in time.
pub fn send_descriptor(to: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // A descriptor is sent with at least one byte.
    match sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Waits for the next message.
///
/// # Errors
///
/// When the other process has ended, does not write in time, or sends something that is not a
/// message.
pub fn receive(mut from: &UnixStream) -> io::Result<Message> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let json = receive_bytes(from, u32::from_be_bytes(length) as usize, MESSAGE_MAX)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Receives the bytes that follow a message.
///
/// # Errors
///
/// When the other process has ended or does not write in time, or `length` is larger than `max`.
pub fn receive_bytes(from: &UnixStream, length: usize, max: usize) -> io::Result<Vec<u8>> {
    if length > max {
        return Err(io::Error::other(format!("a message has {length} bytes; expected at most {max}")));
    }
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Receives the descriptor that follows a message.
///
/// # Errors
///
/// When the other process has ended, does not write in time, or sends no descriptor.
pub fn receive_descriptor(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut descriptors| descriptors.next());
    descriptor.ok_or_else(|| io::Error::other("a descriptor is missing behind its message"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::{Message, receive, receive_bytes, receive_descriptor, send, send_bytes, send_descriptor};

    #[test]
    fn messages_arrive_with_what_follows_them() {
        let (old, new) = UnixStream::pair().unwrap();
        let (mut kept, sent) = UnixStream::pair().unwrap();
        send(&old, &Message::Socket { name: "--listen a:1".into() }).unwrap();
        send_descriptor(&old, sent.as_fd()).unwrap();
        send(&old, &Message::Module { sha256: "ab".into(), length: 3 }).unwrap();
        send_bytes(&old, b"abc").unwrap();
        send(&old, &Message::Complete { configuration: None, has_state_dir: false }).unwrap();
        drop((old, sent));
        assert!(matches!(receive(&new).unwrap(), Message::Socket { name } if name == "--listen a:1"));
        let arrived = UnixStream::from(receive_descriptor(&new).unwrap());
        kept.write_all(b"x").unwrap();
        assert_eq!(receive_bytes(&arrived, 1, 1).unwrap(), b"x");
        assert!(matches!(receive(&new).unwrap(), Message::Module { length: 3, .. }));
        assert!(receive_bytes(&new, 3, 2).is_err(), "more than expected");
        assert_eq!(receive_bytes(&new, 3, 3).unwrap(), b"abc");
        assert!(matches!(receive(&new).unwrap(), Message::Complete { .. }));
        assert!(receive(&new).is_err() && receive_descriptor(&new).is_err(), "the end");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&b"\xff\xff\xff\xff{}"[..], b"\0\0\0\x02{}", b"\0\0\0\x09\"Nothing\"", b"\0\0"] {
            let (mut old, new) = UnixStream::pair().unwrap();
            old.write_all(bytes).unwrap();
            drop(old);
            assert!(receive(&new).is_err(), "{bytes:?}");
        }
    }
}
