//! Client of HTTP/2 that sends what a test gives it, and keeps account of what comes back. A response
//! that HTTP/2 does not allow fails the test.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::frames::{
    ACK, CONTINUATION, DATA, END, GOAWAY, HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, LARGEST,
    MAX_FRAME_SIZE, PADDED, PING, PREFACE, RST_STREAM, SETTINGS, WHOLE, WINDOW_UPDATE, data, ping, settings,
    update,
};
use super::hpack::decode;
use crate::harness::PATIENCE;

/// Longest frame that a client takes and a server takes, unless they say otherwise.
const FRAME_MAX: usize = 16 << 10;

/// Window of a connection, and of its streams unless a side says otherwise.
const WINDOW: i64 = 65_535;

/// What carries the bytes of a connection.
pub trait Carrier: Read + Write + Send {}

impl<T: Read + Write + Send> Carrier for T {}

/// Connection to a server.
pub struct H2 {
    carrier: Box<dyn Carrier>,
    buffer: Vec<u8>,
    /// Streams of which anything was heard.
    pub streams: BTreeMap<u32, Answer>,
    /// Fields that have begun: their stream, whether they end it, and their bytes.
    fields: Option<(u32, bool, Vec<u8>)>,
    /// Last stream and code of each GOAWAY.
    pub goaways: Vec<(u32, u32)>,
    /// Payloads of each PING with ACK.
    pub pongs: Vec<Vec<u8>>,
    /// Settings of the server.
    pub settings: BTreeMap<u16, u32>,
    /// SETTINGS with ACK that came.
    pub acks: usize,
    /// Bytes that may be sent, by stream; 0 is the connection.
    windows: BTreeMap<u32, i64>,
    /// Whether the server has ended the connection.
    pub is_over: bool,
    /// Whether PING gets no answer.
    pub ignores_pings: bool,
}

/// What came on a stream.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Statuses of interim responses.
    pub interim: Vec<u16>,
    /// Status, or 0 while there is none.
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the server has ended it with END_STREAM.
    pub is_whole: bool,
    /// Code of RST_STREAM.
    pub reset: Option<u32>,
}

impl Answer {
    /// Returns the value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl H2 {
    /// Connects and begins. The server is to keep no table.
    pub fn connect(address: SocketAddr) -> H2 {
        H2::connect_with(address, &[])
    }

    /// Connects and begins with these settings, too.
    pub fn connect_with(address: SocketAddr, more: &[(u16, u32)]) -> H2 {
        let mut client = H2::over(tcp(address));
        client.begin(more);
        client
    }

    /// Connects and begins with windows as large as they can be.
    pub fn connect_wide(address: SocketAddr) -> H2 {
        H2::wide_over(tcp(address))
    }

    /// Begins on a connection with windows as large as they can be.
    pub fn wide_over(carrier: impl Carrier + 'static) -> H2 {
        let mut client = H2::over(carrier);
        client.begin(&[(INITIAL_WINDOW_SIZE, LARGEST)]);
        client.send(update(0, LARGEST - WINDOW as u32));
        client
    }

    /// Connects to a Unix socket and begins.
    pub fn connect_unix(path: &Path) -> H2 {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = H2::over(stream);
        client.begin(&[]);
        client
    }

    /// Takes a connection on which nothing was sent.
    pub fn over(carrier: impl Carrier + 'static) -> H2 {
        H2 {
            carrier: Box::new(carrier),
            buffer: Vec::new(),
            streams: BTreeMap::new(),
            fields: None,
            goaways: Vec::new(),
            pongs: Vec::new(),
            settings: BTreeMap::new(),
            acks: 0,
            windows: BTreeMap::new(),
            is_over: false,
            ignores_pings: false,
        }
    }

    /// Sends the preface and settings, and waits until the server has taken them.
    pub fn begin(&mut self, more: &[(u16, u32)]) {
        self.send([PREFACE, &settings(&[&[(HEADER_TABLE_SIZE, 0)], more].concat())].concat());
        self.until("the settings are taken", |client| client.acks > 0 && !client.settings.is_empty());
        self.send(super::frames::frame(SETTINGS, ACK, 0, []));
    }

    /// Sends bytes unchanged. A connection that has ended takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.carrier.write_all(bytes.as_ref()).and_then(|()| self.carrier.flush());
    }

    /// Sends a body in frames as the windows of the server allow.
    pub fn send_body(&mut self, stream: u32, body: &[u8], ends: bool) {
        let mut rest = body;
        while !rest.is_empty() {
            let room = self.window(0).min(self.window(stream)).clamp(0, FRAME_MAX as i64) as usize;
            if room == 0 {
                // The rest is of no use once the stream is answered or the connection has ended.
                if self.answer(stream).reset.is_some() || !self.take_in() {
                    return;
                }
                continue;
            }
            let (next, behind) = rest.split_at(room.min(rest.len()));
            rest = behind;
            self.send(data(stream, if ends && rest.is_empty() { END } else { 0 }, next));
            for window in [0, stream] {
                *self.windows.get_mut(&window).unwrap() -= next.len() as i64;
            }
        }
        if body.is_empty() && ends {
            self.send(data(stream, END, []));
        }
    }

    fn window(&mut self, stream: u32) -> i64 {
        let initial = match stream {
            0 => WINDOW,
            _ => self.settings.get(&INITIAL_WINDOW_SIZE).map_or(WINDOW, |&window| window.into()),
        };
        *self.windows.entry(stream).or_insert(initial)
    }

    /// Returns what came on a stream so far.
    pub fn answer(&self, stream: u32) -> Answer {
        self.streams.get(&stream).cloned().unwrap_or_default()
    }

    /// Waits for the whole response on a stream.
    #[track_caller]
    pub fn reply(&mut self, stream: u32) -> Answer {
        self.until("a response", |client| {
            client.streams.get(&stream).is_some_and(|answer| answer.is_whole || answer.reset.is_some())
        });
        let answer = self.answer(stream);
        assert!(answer.is_whole, "stream {stream} was reset: {answer:?}");
        answer
    }

    /// Sends a request without a body, and waits for the response.
    #[track_caller]
    pub fn ask(&mut self, stream: u32, path: &str) -> Answer {
        self.send(super::frames::headers(stream, END, super::frames::get(path)));
        self.reply(stream)
    }

    /// Waits until the server has taken all that was sent so far.
    #[track_caller]
    pub fn settle(&mut self) {
        let mark = (self.pongs.len() as u64).to_be_bytes();
        self.send(ping(mark));
        self.until("PING is answered", |client| client.pongs.iter().any(|pong| pong[..] == mark));
    }

    /// Takes frames until a condition holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&H2) -> bool) {
        while !is_so(self) {
            assert!(self.take_in(), "the connection ended before: {what}; {}", self.shown());
        }
    }

    /// Waits for the end of the connection.
    pub fn ends(&mut self) {
        while self.take_in() {}
    }

    /// Returns what came, for a message.
    pub fn shown(&self) -> String {
        format!("GOAWAY {:?}, streams {:?}", self.goaways, self.streams)
    }

    /// Takes a frame. Returns false at the end of the connection.
    #[track_caller]
    pub fn take_in(&mut self) -> bool {
        while self.frame_length().is_none_or(|length| length > self.buffer.len()) {
            let mut chunk = [0; 16_384];
            match self.carrier.read(&mut chunk) {
                Ok(received @ 1..) => self.buffer.extend_from_slice(&chunk[..received]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came in time: {}", self.shown())
                }
                _ => {
                    self.is_over = true;
                    return false;
                }
            }
        }
        let frame: Vec<u8> = self.buffer.drain(..self.frame_length().unwrap()).collect();
        let (head, payload) = frame.split_at(9);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        self.note(head[3], head[4], stream, payload);
        true
    }

    fn frame_length(&self) -> Option<usize> {
        let length = self.buffer.get(..9)?;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        Some(9 + length)
    }

    /// Notes a frame of the server, and checks that it may come now.
    #[track_caller]
    fn note(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let is_in_fields = self.fields.is_some();
        assert!(payload.len() <= FRAME_MAX, "a frame of {} bytes", payload.len());
        assert_eq!(is_in_fields, kind == CONTINUATION, "frame {kind} within fields, or not");
        assert!(flags & PADDED == 0 || kind > HEADERS, "padding, which tests do not expect");
        match kind {
            DATA => {
                let answer = self.streams.entry(stream).or_default();
                assert!(answer.status > 0 && !answer.is_whole, "DATA at a wrong time: {answer:?}");
                answer.body.extend_from_slice(payload);
                if flags & END > 0 {
                    self.whole(stream);
                }
            }
            HEADERS => {
                self.fields = Some((stream, flags & END > 0, payload.to_vec()));
                self.take_fields(flags);
            }
            CONTINUATION => {
                self.fields.as_mut().unwrap().2.extend_from_slice(payload);
                self.take_fields(flags);
            }
            RST_STREAM => self.streams.entry(stream).or_default().reset = Some(number(0)),
            SETTINGS if flags & ACK > 0 => self.acks += 1,
            SETTINGS => {
                for each in payload.chunks(6) {
                    let (id, value) = (u16::from_be_bytes([each[0], each[1]]), each[2..6].try_into());
                    self.settings.insert(id, u32::from_be_bytes(value.unwrap()));
                }
                let largest = self.settings.get(&MAX_FRAME_SIZE).copied();
                assert!(largest.is_none_or(|largest| largest as usize >= FRAME_MAX));
            }
            PING if flags & ACK > 0 => self.pongs.push(payload.to_vec()),
            // The server asks whether all has arrived before it ends the connection.
            PING if self.ignores_pings => {}
            PING => self.send(super::frames::frame(PING, ACK, 0, payload)),
            GOAWAY => self.goaways.push((number(0), number(4))),
            WINDOW_UPDATE => {
                self.window(stream);
                *self.windows.get_mut(&stream).unwrap() += i64::from(number(0));
            }
            _ => panic!("a frame of type {kind}"),
        }
    }

    /// Takes the fields that have come, if they are whole.
    #[track_caller]
    fn take_fields(&mut self, flags: u8) {
        let Some((stream, ends, bytes)) = self.fields.take_if(|_| flags & WHOLE > 0) else { return };
        let mut fields = decode(&bytes).unwrap_or_else(|why| panic!("{why}: {}", bytes.escape_ascii()));
        let (name, status) = fields.remove(0);
        assert_eq!(name, ":status");
        for (name, _) in &fields {
            let is_plain = !name.starts_with(':') && *name == name.to_ascii_lowercase();
            let is_of_connection = ["connection", "keep-alive", "transfer-encoding"].contains(&&**name);
            assert!(is_plain && !is_of_connection, "{name} in a response");
        }
        let answer = self.streams.entry(stream).or_default();
        assert!(answer.status == 0 && !answer.is_whole, "a second response: {answer:?}");
        let status = status.parse().unwrap();
        if status < 200 {
            answer.interim.push(status);
            return;
        }
        (answer.status, answer.fields) = (status, fields);
        if ends {
            self.whole(stream);
        }
    }

    /// Notes the end of a response.
    #[track_caller]
    fn whole(&mut self, stream: u32) {
        let answer = self.streams.entry(stream).or_default();
        answer.is_whole = true;
        let length = answer.field("content-length").map(|length| length.parse::<usize>().unwrap());
        // A response to HEAD has the length of what GET would get.
        let is_right = answer.body.is_empty() || length.is_none_or(|length| length == answer.body.len());
        assert!(is_right, "another length than stated: {answer:?}");
    }
}

/// Connects, with limits on each wait.
pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
