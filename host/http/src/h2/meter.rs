//! Limits the HTTP/2 frames that a client sends besides requests. A frame of a few bytes can cost
//! the server more than the client, so the number of such frames in a span of time is limited.

use std::time::{Duration, Instant};

use super::PREFACE;

/// Length of the header of a frame in bytes (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;

/// For each such number of bytes that the server sends in responses, the client may send one
/// additional WINDOW_UPDATE frame.
const BYTES_PER_UPDATE: u64 = 512;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

/// Flag ACK of a SETTINGS frame.
const ACK: u8 = 0x1;

/// Flag END_HEADERS of a HEADERS or CONTINUATION frame.
const END_HEADERS: u8 = 0x4;

/// Limits on the frames of one connection in a span of time.
#[derive(Clone, Copy, Debug)]
pub struct MeterLimits {
    /// Maximum number of RST_STREAM frames, which reset streams.
    pub resets: u32,
    /// Maximum number of other frames that carry no part of a request, such as PING.
    pub control: u32,
    /// Length of the span of time.
    pub window: Duration,
}

/// Violation for which the connection of a client is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The client has sent more RST_STREAM frames than [`MeterLimits::resets`].
    Resets,
    /// The client has sent too many other frames that carry no part of a request.
    Control,
    /// The first frame of the client is not SETTINGS (RFC 9113, section 3.4).
    NoSettings,
}

/// Counter of the frames of one connection. Reads the bytes as they arrive.
#[derive(Debug)]
pub struct Meter {
    limits: MeterLimits,
    /// Number of bytes of the client's preface that have not arrived yet.
    preface: usize,
    /// Header of the current frame.
    head: [u8; FRAME_HEAD],
    /// Number of bytes of the header that have arrived; 0 once the header is complete.
    head_read: usize,
    /// Number of bytes of the payload that have not arrived yet.
    missing: usize,
    /// Whether the header of the first frame has arrived.
    has_begun: bool,
    /// Whether the fields of the current request are incomplete, so that a CONTINUATION frame must
    /// follow.
    in_fields: bool,
    /// Highest number of a stream that a request has opened.
    last: u32,
    /// Number of requests that have begun.
    requests: u64,
    /// Start of the current span of time.
    since: Instant,
    resets: u32,
    control: u32,
    updates: u32,
    /// Number of bytes that the server has sent in responses in the current span of time.
    sent: u64,
    breach: Option<Breach>,
}

impl Meter {
    /// Creates the counter for a new connection.
    pub fn new(limits: MeterLimits, now: Instant) -> Meter {
        Meter {
            limits,
            preface: PREFACE.len(),
            head: [0; FRAME_HEAD],
            head_read: 0,
            missing: 0,
            has_begun: false,
            in_fields: false,
            last: 0,
            requests: 0,
            since: now,
            resets: 0,
            control: 0,
            updates: 0,
            sent: 0,
            breach: None,
        }
    }

    /// Counts the frames in bytes that the client has sent. Calls `now` only when a limit is
    /// exceeded.
    pub fn received(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = bytes.get(preface..).unwrap_or_default();
        while !bytes.is_empty() {
            if self.missing > 0 {
                let skipped = self.missing.min(bytes.len());
                self.missing -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let taken = (FRAME_HEAD - self.head_read).min(bytes.len());
            let (head, rest) = bytes.split_at(taken);
            if let Some(place) = self.head.get_mut(self.head_read..self.head_read + taken) {
                place.copy_from_slice(head);
            }
            self.head_read += taken;
            bytes = rest;
            if self.head_read == FRAME_HEAD {
                self.head_read = 0;
                self.frame(&now);
            }
        }
    }

    /// Counts bytes that the server has sent in responses.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Returns the violation for which the connection must be closed; [`None`] if there is none.
    pub fn breach(&self) -> Option<Breach> {
        self.breach
    }

    /// Returns whether the client has sent only a part of the preface, of a frame, or of the fields
    /// of a request. The payload of a DATA frame does not count, because the time for a body is
    /// limited separately.
    pub fn is_in_head(&self) -> bool {
        self.preface > 0 || self.in_fields || self.head_read > 0 || (self.missing > 0 && self.kind() != DATA)
    }

    /// Returns the number of requests whose heads have arrived; [`None`] if [`Meter::is_in_head`]
    /// returns true.
    pub fn requests(&self) -> Option<u64> {
        (!self.is_in_head()).then_some(self.requests)
    }

    /// Returns the stream of a DATA frame whose payload is incomplete, and the number of bytes of
    /// the payload that have arrived. [`None`] if there is no such frame.
    pub fn part_of_body(&self) -> Option<(u32, usize)> {
        if self.missing == 0 || self.kind() != DATA || self.head_read > 0 {
            return None;
        }
        Some((self.stream(), self.length() - self.missing))
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1)
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.head;
        u32::from_be_bytes([0, a, b, c]) as usize
    }

    /// Counts a frame whose header is complete.
    fn frame(&mut self, now: &impl Fn() -> Instant) {
        let [_, _, _, kind, flags, ..] = self.head;
        self.missing = self.length();
        if !std::mem::replace(&mut self.has_begun, true) && (kind, flags & ACK) != (SETTINGS, 0) {
            self.breach = Some(Breach::NoSettings);
            return;
        }
        match kind {
            HEADERS => {
                self.in_fields = flags & END_HEADERS == 0;
                // Otherwise these are trailers.
                if self.stream() > self.last {
                    self.last = self.stream();
                    self.requests += 1;
                }
            }
            CONTINUATION => self.in_fields &= flags & END_HEADERS == 0,
            _ => {}
        }
        self.count(kind);
        let allowed = u64::from(self.limits.control) + self.sent / BYTES_PER_UPDATE;
        let breach = if self.resets > self.limits.resets {
            Breach::Resets
        } else if self.control > self.limits.control || u64::from(self.updates) > allowed {
            Breach::Control
        } else {
            return;
        };
        let now = now();
        if now.saturating_duration_since(self.since) < self.limits.window {
            self.breach = Some(breach);
            return;
        }
        (self.since, self.resets, self.control, self.updates, self.sent) = (now, 0, 0, 0, 0);
        self.count(kind);
    }

    fn count(&mut self, kind: u8) {
        match kind {
            DATA if self.missing > 0 => {}
            HEADERS => {}
            RST_STREAM => self.resets += 1,
            WINDOW_UPDATE => self.updates += 1,
            _ => self.control += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Breach, CONTINUATION, DATA, END_HEADERS, HEADERS, Meter, MeterLimits, PREFACE, RST_STREAM, SETTINGS,
        WINDOW_UPDATE,
    };
    use std::time::{Duration, Instant};

    const LIMITS: MeterLimits = MeterLimits { resets: 3, control: 5, window: Duration::from_secs(10) };
    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let mut frame = (payload as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.resize(9 + payload, b'x');
        frame
    }

    struct Fed {
        meter: Meter,
        began: Instant,
    }

    impl Fed {
        fn new() -> Fed {
            let began = Instant::now();
            let mut fed = Fed { meter: Meter::new(LIMITS, began), began };
            fed.at(0, PREFACE);
            fed.at(0, &frame(SETTINGS, 0, 0, 0));
            fed.meter.control = 0;
            fed
        }

        fn at(&mut self, second: u64, bytes: &[u8]) {
            let now = self.began + Duration::from_secs(second);
            self.meter.received(bytes, || now);
        }
    }

    #[test]
    fn frames_are_found_however_their_bytes_arrive() {
        let mut bytes = frame(HEADERS, END_HEADERS, 1, 300);
        bytes.extend(frame(DATA, 0, 1, 70_000));
        bytes.extend(frame(RST_STREAM, 0, 1, 4).repeat(3));
        for step in [1, 2, 8, 9, 10, 1000, bytes.len()] {
            let mut fed = Fed::new();
            bytes.chunks(step).for_each(|piece| fed.at(0, piece));
            assert_eq!(fed.meter.breach(), None, "{step}");
            frame(RST_STREAM, 0, 1, 4).chunks(step).for_each(|piece| fed.at(0, piece));
            assert_eq!(fed.meter.breach(), Some(Breach::Resets), "{step}");
        }
    }

    #[test]
    fn requests_are_counted_when_their_heads_are_whole() {
        let mut fed = Fed::new();
        let mut requests = |bytes: &[u8]| {
            fed.at(0, bytes);
            fed.meter.requests()
        };
        assert_eq!(requests(b""), Some(0));
        let (begin, end) = (frame(HEADERS, 0, 1, 30), frame(CONTINUATION, END_HEADERS, 1, 3));
        assert_eq!(requests(&begin[..4]), None);
        assert_eq!(requests(&begin[4..]), None);
        assert_eq!(requests(&end[..11]), None);
        assert_eq!(requests(&end[11..]), Some(1));
        assert_eq!(requests(&frame(DATA, 0, 1, 50)[..40]), Some(1), "a part of a body");
        assert_eq!(requests(&frame(DATA, 0, 1, 50)[40..]), Some(1));
        assert_eq!(requests(&frame(HEADERS, END_HEADERS, 1, 5)), Some(1), "trailers");
        assert_eq!(requests(&frame(HEADERS, END_HEADERS, 3, 5).repeat(2)), Some(2));
        assert_eq!(requests(&frame(HEADERS, END_HEADERS, 9, 5)), Some(3));
    }

    #[test]
    fn limits_hold_for_each_span_of_time() {
        let mut fed = Fed::new();
        for second in 0..4 {
            fed.at(11 * second, &frame(PING, 0, 0, 8).repeat(5));
        }
        assert_eq!(fed.meter.breach(), None);
        fed.at(34, &frame(PING, 0, 0, 8));
        assert_eq!(fed.meter.breach(), Some(Breach::Control));
    }

    #[test]
    fn a_client_may_widen_its_windows_as_it_reads() {
        let mut fed = Fed::new();
        for _ in 0..100 {
            fed.meter.sent(1024);
            fed.at(0, &frame(WINDOW_UPDATE, 0, 1, 4).repeat(2));
        }
        assert_eq!(fed.meter.breach(), None);
        fed.at(0, &frame(WINDOW_UPDATE, 0, 1, 4).repeat(6));
        assert_eq!(fed.meter.breach(), Some(Breach::Control));
    }

    #[test]
    fn empty_data_counts_and_other_data_does_not() {
        let mut fed = Fed::new();
        fed.at(0, &frame(DATA, 0, 1, 1).repeat(100));
        assert_eq!(fed.meter.breach(), None);
        fed.at(0, &frame(DATA, 0, 1, 0).repeat(6));
        assert_eq!(fed.meter.breach(), Some(Breach::Control));
    }

    #[test]
    fn a_client_begins_with_settings() {
        for (kind, flags, is_right) in
            [(SETTINGS, 0, true), (SETTINGS, 1, false), (PING, 0, false), (HEADERS, 5, false)]
        {
            let began = Instant::now();
            let mut meter = Meter::new(LIMITS, began);
            meter.received(&[PREFACE, &frame(kind, flags, 0, 8)].concat(), || began);
            assert_eq!(meter.breach(), (!is_right).then_some(Breach::NoSettings), "{kind} {flags}");
        }
    }

    #[test]
    fn what_has_begun_is_told_apart() {
        let began = Instant::now();
        assert!(Meter::new(LIMITS, began).is_in_head());
        let mut fed = Fed::new();
        assert!(!fed.meter.is_in_head());
        fed.at(0, &frame(HEADERS, 0, 1, 10));
        assert!(fed.meter.is_in_head());
        fed.at(0, &frame(super::CONTINUATION, END_HEADERS, 1, 10));
        assert!(!fed.meter.is_in_head());
        fed.at(0, &frame(DATA, 0, 1, 100)[..50]);
        assert!(!fed.meter.is_in_head());
        assert_eq!(fed.meter.part_of_body(), Some((1, 41)));
        fed.at(0, &[0; 59]);
        assert_eq!(fed.meter.part_of_body(), None);
        fed.at(0, &[0]);
        assert!(fed.meter.is_in_head());
    }
}
