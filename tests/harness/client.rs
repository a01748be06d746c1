//! HTTP client that sends exactly the bytes that a test gives it. A response with wrong
//! framing fails the test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::server::PATIENCE;
use super::wire::replies;

/// Connection to a server or a proxy.
pub struct Client {
    stream: TcpStream,
    /// Bytes that were received and are not parsed yet.
    buffer: Vec<u8>,
    /// Whether header names must be in lower case, as the host writes them. A proxy may
    /// write them otherwise.
    pub lower_case: bool,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub reason: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from the loopback address `own`.
    pub fn connect_from(own: [u8; 4], address: SocketAddr) -> Client {
        Client::connect_by(address, |socket| socket.bind(&SocketAddr::from((own, 0)).into()))
    }

    /// Connects with a receive buffer of this many bytes.
    pub fn connect_with_room(bytes: usize, address: SocketAddr) -> Client {
        Client::connect_by(address, |socket| socket.set_recv_buffer_size(bytes))
    }

    fn connect_by(address: SocketAddr, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        prepare(&socket).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::over(socket.into())
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: Vec::new(), lower_case: true }
    }

    /// Sends bytes unchanged.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes unchanged. Returns false if the connection has failed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the same bytes again and again on another thread, until the connection fails.
    pub fn send_for_ever(&self, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::spawn(move || while stream.write_all(&bytes).is_ok() {})
    }

    /// Reads all that comes before the end of the connection.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        // A reset is an end, too.
        let _ = self.stream.read_to_end(&mut self.buffer);
        std::mem::take(&mut self.buffer)
    }

    /// Closes the sending side of the connection.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection by a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Returns whether the server has neither closed nor reset the connection.
    pub fn is_open(&mut self) -> bool {
        self.peek().is_none_or(|received| received > 0)
    }

    /// Returns whether bytes from the server can be read without waiting.
    pub fn has_reply(&mut self) -> bool {
        self.peek().is_some_and(|received| received > 0)
    }

    /// Returns 1 if bytes can be read without waiting, 0 if the server has closed or reset the
    /// connection, and `None` otherwise.
    fn peek(&mut self) -> Option<usize> {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        match peeked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            result => Some(result.unwrap_or(0)),
        }
    }

    /// Sends a request without a body and reads the response.
    pub fn ask(&mut self, method: &str, target: &str) -> Reply {
        self.send(format!("{method} {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.reply_to(method)
    }

    /// Sends a request with a body and reads the response.
    pub fn post(&mut self, target: &str, body: &[u8]) -> Reply {
        let length = body.len();
        self.send(format!("POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n"));
        self.send(body);
        self.reply_to("POST")
    }

    /// Reads the response to a request of this method.
    pub fn reply_to(&mut self, method: &str) -> Reply {
        loop {
            let shown = || self.buffer.escape_ascii().to_string();
            let found = replies::read(&self.buffer, method.as_bytes());
            if let Some((reply, rest)) = found.unwrap_or_else(|why| panic!("{why} in {}", shown())) {
                let reply = self.checked(reply);
                let length = self.buffer.len() - rest.len();
                self.buffer.drain(..length);
                return reply;
            }
            assert!(self.fill(), "the connection ended within a response: {}", self.buffer.escape_ascii());
        }
    }

    /// Returns a response with its headers as text. Checks that each header was sent as a name in
    /// lower case, a colon, a space and the value.
    fn checked(&self, reply: replies::Reply) -> Reply {
        let reply = Reply::of(reply);
        for (name, value) in &reply.fields {
            let line = format!("\r\n{name}: {value}\r\n");
            let is_there = self.buffer.windows(line.len()).any(|bytes| bytes == line.as_bytes());
            assert!(is_there || !self.lower_case, "not in lower case, or without a space: {name}");
        }
        reply
    }

    /// Waits for the end of the connection, and checks that no more bytes come before it.
    pub fn expect_close(&mut self) {
        while self.fill() {}
        assert!(self.buffer.is_empty(), "there is more: {}", self.buffer.escape_ascii());
    }

    /// Waits for more bytes. Returns false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65_536];
        let received = self.stream.read(&mut chunk).expect("an answer in time");
        self.buffer.extend_from_slice(&chunk[..received]);
        received > 0
    }
}

impl Reply {
    /// Returns a response with its headers as text, and their names in lower case.
    pub fn of(reply: replies::Reply) -> Reply {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let fields =
            reply.fields.into_iter().map(|(name, value)| (text(name).to_ascii_lowercase(), text(value)));
        Reply { status: reply.status, reason: text(reply.reason), fields: fields.collect(), body: reply.body }
    }

    /// Returns the value of a header. Panics if the header occurs more than once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(each, _)| each == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands there twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
