//! Case of a table: frames that a client sends beside a request that waits for its body, and what
//! comes of them. The waiting request is always answered in the end, unless
//! the whole connection ends; then a new one can be used at once.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::client::H2;
use super::frames::{
    CANCEL, END, ENHANCE_YOUR_CALM, INITIAL_WINDOW_SIZE, NO_ERROR, data, get, headers, request, reset, update,
};
use crate::harness::Server;
use crate::strict::passed_on::kept;

/// Number of cases that are tested at the same time.
const AT_ONCE: usize = 4;

/// Stream whose request waits for its body.
const WAITS: u32 = 1;

/// Stream whose request follows each case.
const FOLLOWS: u32 = 100_001;

/// Most bytes of what was sent that a message shows.
const SHOWN_MAX: usize = 300;

#[derive(Clone)]
pub struct Case {
    /// RFC and section, such as `9113 6.9`.
    section: &'static str,
    name: String,
    before: Before,
    /// What the client sends.
    bytes: Vec<u8>,
    outcome: Outcome,
    /// Streams that are answered, too.
    also: &'static [u32],
    /// Whether the bytes use the last number of a stream that there is.
    is_last: bool,
}

/// What has happened to stream 3 before the frames are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Before {
    /// Nothing.
    Idle,
    /// The client has ended it, and its response waits for a window.
    HalfClosed,
    /// It was answered.
    Closed,
    /// The client has reset it.
    Reset,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    /// These streams are answered with these statuses.
    Answered(Vec<(u32, u16)>),
    /// The stream is answered, and the handler has seen this.
    Shown(u32, String),
    /// The stream is reset with this code.
    Reset(u32, u32),
    /// The stream is answered with this status before its request has ended, and then reset with
    /// this code.
    Cut(u32, u16, u32),
    /// The stream is answered with 431, and perhaps reset.
    TooLong(u32),
    /// Nothing happens.
    Ignored,
    /// The connection ends with this last stream and this code.
    Ended(u32, u32),
    /// The connection ends with this code, at a stream that depends on how the bytes arrive.
    EndedSomewhere(u32),
}

fn case(section: &'static str, name: &str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    let name = name.to_owned();
    Case { section, name, before: Before::Idle, bytes: bytes.into(), outcome, also: &[], is_last: false }
}

/// Expects that stream 3 is answered.
pub fn answered(section: &'static str, status: u16, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::Answered(vec![(3, status)]))
}

/// Expects that streams are answered.
pub fn all_answered(
    section: &'static str,
    streams: &[(u32, u16)],
    name: &str,
    bytes: impl Into<Vec<u8>>,
) -> Case {
    case(section, name, bytes, Outcome::Answered(streams.to_vec()))
}

/// Expects that the handler sees this on stream 3.
pub fn shown(section: &'static str, name: &str, bytes: impl Into<Vec<u8>>, seen: impl Into<String>) -> Case {
    case(section, name, bytes, Outcome::Shown(3, seen.into()))
}

/// Expects an error of stream 3.
pub fn is_reset(section: &'static str, code: u32, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::Reset(3, code))
}

/// Expects an answer on stream 3 that does not wait for the rest of the request.
pub fn cut(section: &'static str, status: u16, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::Cut(3, status, NO_ERROR))
}

/// Expects that a head is refused that is far longer than the limit. The crate answers it, without a
/// page or an id, and resets the stream unless it has ended.
pub fn too_long(section: &'static str, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::TooLong(3))
}

pub fn ignored(section: &'static str, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::Ignored)
}

/// Expects an error of the connection.
pub fn ended(section: &'static str, code: u32, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::Ended(WAITS, code))
}

/// Expects an error of the connection that does not wait for all frames.
pub fn flooded(section: &'static str, name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    case(section, name, bytes, Outcome::EndedSomewhere(ENHANCE_YOUR_CALM))
}

impl Case {
    /// Returns the case on another stream than 3.
    pub fn on(mut self, stream: u32) -> Case {
        match &mut self.outcome {
            Outcome::Shown(on, _) | Outcome::Reset(on, _) | Outcome::Cut(on, ..) => *on = stream,
            Outcome::Answered(streams) => streams[0].0 = stream,
            _ => panic!("it is on no stream of its own"),
        }
        self
    }

    /// Returns the case with more streams that are answered with 200.
    pub fn also(self, streams: &'static [u32]) -> Case {
        Case { also: streams, ..self }
    }

    /// Returns the case with another last stream than 1.
    pub fn last(mut self, stream: u32) -> Case {
        let Outcome::Ended(last, _) = &mut self.outcome else { panic!("it has no last stream") };
        *last = stream;
        self
    }

    /// Returns the case after something has happened to stream 3.
    pub fn after(self, before: Before) -> Case {
        Case { before, ..self }.seen()
    }

    fn seen(self) -> Case {
        match self.outcome {
            Outcome::Ended(..) => self.last(3),
            _ => self,
        }
    }

    /// Returns the case without a request behind it: no number is left for one.
    pub fn without_more(self) -> Case {
        Case { is_last: true, ..self }
    }
}

/// Sends the frames of all cases to one server with these flags. Panics with a list of all failures,
/// if any. Returns the number of cases.
pub fn check(flags: &[&str], cases: &[Case]) {
    let server = Server::of_with("show.wat", &[&["--h2c"], flags].concat());
    let address = server.addresses[0];
    let failures_of = |cases: &[Case]| -> Vec<String> {
        cases.iter().filter_map(|case| attempt(address, case).err()).collect()
    };
    let mut failures: Vec<String> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(AT_ONCE));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || failures_of(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    failures.sort();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Tests a case. The error names it and the problem.
fn attempt(address: SocketAddr, case: &Case) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| exchange(address, case))).map_err(|panic| {
        let problem = panic.downcast_ref::<String>().map(String::as_str);
        let problem = problem.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic");
        let Case { section, name, outcome, before, .. } = case;
        let sent = case.bytes[..case.bytes.len().min(SHOWN_MAX)].escape_ascii();
        format!("RFC {section}: {name}: expected {outcome:?}, {before:?}\n    problem: {problem}\n    sent: {sent}")
    })
}

fn exchange(address: SocketAddr, case: &Case) {
    let window = if case.before == Before::HalfClosed { 0 } else { 65_535 };
    let mut client = H2::connect_with(address, &[(INITIAL_WINDOW_SIZE, window)]);
    client.send(headers(WAITS, 0, request("POST", "/", &[])));
    match case.before {
        Before::Idle => {}
        Before::HalfClosed => {
            client.send(headers(3, END, get("/")));
            client.until("a head", |client| client.answer(3).status == 200);
        }
        Before::Closed => drop(client.ask(3, "/")),
        Before::Reset => client.send([headers(3, 0, request("POST", "/", &[])), reset(3, CANCEL)].concat()),
    }
    client.settle();
    client.send(&case.bytes);
    match &case.outcome {
        Outcome::Ended(last, code) => {
            client.ends();
            assert_eq!(client.goaways, [(*last, *code)], "{}", client.shown());
            assert!(client.streams.get(&WAITS).is_none_or(|answer| answer.status == 0), "{}", client.shown());
            assert_eq!(H2::connect(address).ask(1, "/").status, 200);
            return;
        }
        Outcome::EndedSomewhere(code) => {
            client.ends();
            assert!(matches!(client.goaways[..], [(_, found)] if found == *code), "{}", client.shown());
            assert_eq!(H2::connect(address).ask(1, "/").status, 200);
            return;
        }
        Outcome::Answered(streams) => {
            for (stream, status) in streams {
                let answer = client.reply(*stream);
                assert_eq!(answer.status, *status, "{answer:?}");
                assert!(
                    answer.field("x-request-id").is_some() && answer.field("date").is_some(),
                    "{answer:?}"
                );
            }
        }
        Outcome::Shown(stream, seen) => {
            let answer = client.reply(*stream);
            assert_eq!((answer.status, kept(&answer.body)), (200, seen.clone()));
        }
        Outcome::Reset(stream, code) => {
            client.until("RST_STREAM", |client| client.answer(*stream).reset.is_some());
            let answer = client.answer(*stream);
            assert_eq!(answer.reset, Some(*code));
            assert!(answer.status == 0 || case.before != Before::Idle, "it was answered: {answer:?}");
        }
        Outcome::Cut(stream, status, code) => {
            client.until("RST_STREAM", |client| client.answer(*stream).reset.is_some());
            let answer = client.answer(*stream);
            assert_eq!((answer.status, answer.is_whole, answer.reset), (*status, true, Some(*code)));
        }
        Outcome::TooLong(stream) => {
            let answer = client.reply(*stream);
            assert!(answer.status == 431 && answer.fields.is_empty(), "{answer:?}");
        }
        Outcome::Ignored => client.settle(),
    }
    is_unharmed(client, case);
}

/// Checks that the request that waits is answered, and another one, and that nothing else has come.
fn is_unharmed(mut client: H2, case: &Case) {
    if case.before == Before::HalfClosed {
        client.send([update(WAITS, 65_535), update(3, 65_535)].concat());
    }
    client.send(data(WAITS, END, b"hello"));
    let answer = client.reply(WAITS);
    assert_eq!(
        (answer.status, kept(&answer.body)),
        (200, "POST / HTTP/1.1|host: a|content-length: 5||hello".into())
    );
    if !case.is_last {
        client.send(headers(FOLLOWS, END, get("/")));
        client.until("a head", |client| client.answer(FOLLOWS).status == 200);
    }
    client.settle();
    assert!(client.goaways.is_empty(), "{}", client.shown());
    let mut streams: Vec<u32> = match &case.outcome {
        Outcome::Answered(streams) => streams.iter().map(|(stream, _)| *stream).collect(),
        Outcome::Shown(stream, _)
        | Outcome::Reset(stream, _)
        | Outcome::Cut(stream, ..)
        | Outcome::TooLong(stream) => vec![*stream],
        Outcome::Ignored | Outcome::Ended(..) | Outcome::EndedSomewhere(_) => Vec::new(),
    };
    streams.extend([WAITS, FOLLOWS]);
    for also in case.also {
        assert_eq!(client.reply(*also).status, 200);
        streams.push(*also);
    }
    if case.before != Before::Idle {
        streams.push(3);
    }
    for (stream, answer) in &client.streams {
        assert!(streams.contains(stream), "stream {stream} was not to be answered: {answer:?}");
        let may_reset = matches!(case.outcome, Outcome::Reset(on, _) | Outcome::Cut(on, ..) | Outcome::TooLong(on) if on == *stream);
        assert!(answer.reset.is_none() || may_reset, "stream {stream} was reset: {answer:?}");
    }
}
