//! Reads whole request bodies within the limits on size, time and rate, and counts their
//! memory towards `--buffer-max`.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use host_http::h1::{BadMessage, Chunks, Framing, MessageLimits, Part};
use tokio::time::Instant;

use crate::config::connection::ConnectionLimits;
use crate::fault::{BodyTooSlow, Fault};
use crate::serve::buffers::{Buffers, Share, UNCOUNTED};
use crate::serve::stream::{Arrived, Stream};

/// Reads a body and appends it to `body`. A body whose stated length is too large is
/// refused before it is read. The memory of the body counts until the share is dropped.
pub(super) async fn read_body(
    stream: &mut Stream,
    framing: Framing,
    limits: &ConnectionLimits,
    buffers: &Buffers,
    body: &mut Vec<Bytes>,
) -> Result<Share, Fault> {
    let limit = limits.body_max;
    let mut reader = Reader {
        stream,
        pace: Pace::new(limits, Instant::now()),
        last: Vec::new(),
        whole: body,
        capacity: 0,
        share: Share::default(),
        buffers,
    };
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            let length = usize::try_from(length).ok().filter(|length| *length <= limit);
            reader.plain(length.ok_or(Fault::BodyTooLong { limit })?).await?;
        }
        Framing::Chunked => reader.chunked(&MessageLimits::from(limits)).await?,
    }
    reader.set_aside();
    Ok(reader.share)
}

/// A body that is being read, in buffers of at most `STEP` bytes.
struct Reader<'a> {
    stream: &'a mut Stream,
    pace: Pace<'a>,
    /// Buffer that is being filled.
    last: Vec<u8>,
    whole: &'a mut Vec<Bytes>,
    /// Capacity of all buffers, in bytes.
    capacity: usize,
    share: Share,
    buffers: &'a Buffers,
}

impl Reader<'_> {
    /// Size of a buffer in bytes; the first one may be smaller.
    const STEP: usize = UNCOUNTED;

    async fn plain(&mut self, length: usize) -> Result<(), Fault> {
        // Takes a body that has arrived as it is.
        if self.stream.input.len() >= length {
            self.whole.push(self.stream.input.split_to(length).freeze());
            return Ok(());
        }
        let mut left = length - self.stream.input.len();
        let arrived = self.stream.input.split();
        self.put(&arrived, left)?;
        drop(arrived);
        while left > 0 {
            if self.last.len() == self.last.capacity() {
                self.make_room(left)?;
            }
            let room = left.min(self.last.capacity() - self.last.len());
            let received =
                self.stream.read_body(&mut (&mut self.last).limit(room), self.pace.next_look()).await;
            left -= came(received, &mut self.pace)?;
        }
        Ok(())
    }

    async fn chunked(&mut self, limits: &MessageLimits) -> Result<(), Fault> {
        let mut chunks = Chunks::default();
        loop {
            match chunks.next(&self.stream.input, limits)? {
                Part::Data(length) => {
                    let data = self.stream.input.split_to(length);
                    self.put(&data, 0)?;
                    self.pace.came(length, Instant::now()).map_err(Fault::BodyTooSlow)?;
                }
                Part::Framing(length) => self.stream.input.advance(length),
                Part::Incomplete => {
                    let received = self.stream.more_of_body(self.pace.next_look()).await;
                    // Only data counts as progress: sizes, extensions and trailers are as long
                    // as a client likes.
                    let received = received.map(|arrived| match arrived {
                        Arrived::Bytes(_) => Arrived::Bytes(0),
                        other => other,
                    });
                    came(received, &mut self.pace)?;
                }
                Part::End => return Ok(()),
            }
        }
    }

    /// Appends bytes, behind which `more` are known to come.
    fn put(&mut self, mut bytes: &[u8], more: usize) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if self.last.len() == self.last.capacity() {
                self.make_room(bytes.len() + more)?;
            }
            let room = self.last.capacity() - self.last.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Allocates a buffer. Trusts the stated length only up to `STEP` bytes: a client can
    /// state any length without sending the bytes.
    fn make_room(&mut self, missing: usize) -> Result<(), Fault> {
        let has = self.last.capacity();
        if has < Self::STEP && self.whole.is_empty() {
            let wanted = (missing + has).max(2 * has).min(Self::STEP);
            self.take(wanted - has)?;
            self.last.reserve_exact(wanted - has);
        } else {
            self.set_aside();
            self.take(Self::STEP)?;
            self.last = Vec::with_capacity(Self::STEP);
        }
        Ok(())
    }

    /// Counts memory towards the budget, before it is allocated.
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.buffers.extend(&mut self.share, self.capacity + bytes)?;
        self.capacity += bytes;
        Ok(())
    }

    /// Moves the last buffer to the finished parts of the body.
    fn set_aside(&mut self) {
        if !self.last.is_empty() {
            self.whole.push(std::mem::take(&mut self.last).into());
        }
    }
}

/// Returns how many bytes arrived, which may be 0, and checks the limits.
fn came(received: io::Result<Arrived>, pace: &mut Pace<'_>) -> Result<usize, Fault> {
    let bytes = match received.map_err(|error| Fault::BodyUnreadable(error.to_string()))? {
        Arrived::Bytes(bytes) => bytes,
        Arrived::TooSlow | Arrived::Idle(_) => 0,
        Arrived::GaveWay => return Err(BadMessage::GaveWay.into()),
        Arrived::End => {
            return Err(Fault::BodyUnreadable("the client closed the connection before its end".into()));
        }
    };
    pace.came(bytes, Instant::now()).map_err(Fault::BodyTooSlow)?;
    Ok(bytes)
}

/// Progress of a body, checked against the limits on time and rate.
struct Pace<'a> {
    limits: &'a ConnectionLimits,
    began: Instant,
    last_piece: Instant,
    window_began: Instant,
    in_window: usize,
}

impl Pace<'_> {
    fn new(limits: &ConnectionLimits, now: Instant) -> Pace<'_> {
        Pace { limits, began: now, last_piece: now, window_began: now, in_window: 0 }
    }

    /// Returns the time at which to check the limits next, even if nothing arrives until
    /// then: the earliest end of `body_timeout`, `body_time_max` and `rate_window`.
    fn next_look(&self) -> Instant {
        let ConnectionLimits { body_timeout, body_time_max, rate_window, .. } = *self.limits;
        let first = (self.last_piece + body_timeout).min(self.began + body_time_max);
        first.min(self.window_began + rate_window)
    }

    /// Records the number of bytes received, which may be 0, and checks the limits.
    fn came(&mut self, bytes: usize, now: Instant) -> Result<(), BodyTooSlow> {
        let ConnectionLimits { body_timeout, body_time_max, body_rate_min: rate, rate_window, .. } =
            *self.limits;
        if now >= self.began + body_time_max {
            return Err(BodyTooSlow::Whole);
        }
        if bytes == 0 && now >= self.last_piece + body_timeout {
            return Err(BodyTooSlow::Piece);
        }
        if bytes > 0 {
            self.last_piece = now;
        }
        self.in_window += bytes;
        if now >= self.window_began + rate_window {
            let seconds = now.saturating_duration_since(self.window_began).as_secs_f64();
            if (self.in_window as f64) < rate as f64 * seconds {
                return Err(BodyTooSlow::Rate { rate });
            }
            (self.window_began, self.in_window) = (now, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyTooSlow, Pace};
    use crate::cli::args::Args;
    use crate::config::connection::ConnectionLimits;
    use clap::Parser;
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ConnectionLimits {
        Args::parse_from(["host", "--body-rate-min", "100", "--body-time-max", "1min"])
            .serve
            .limits
            .connection
    }

    /// Returns the second in which a body is given up, if `bytes(second)` bytes arrive in
    /// each second, and the reason.
    fn given_up(bytes: impl Fn(u32) -> usize) -> (u32, BodyTooSlow) {
        let (limits, began) = (limits(), Instant::now());
        let mut pace = Pace::new(&limits, began);
        let mut seconds = (1..).map(|second| (second, pace.came(bytes(second), began + second * SECOND)));
        seconds.find_map(|(second, came)| Some((second, came.err()?))).unwrap()
    }

    #[test]
    fn a_body_is_given_up_when_nothing_comes_or_little_or_it_has_no_end() {
        assert!(matches!(given_up(|second| 10_000 * usize::from(second < 4)), (13, BodyTooSlow::Piece)));
        assert!(matches!(given_up(|_| 99), (10, BodyTooSlow::Rate { rate: 100 })));
        assert!(matches!(
            given_up(|second| 10_000 * usize::from(second < 3) + 99),
            (20, BodyTooSlow::Rate { .. })
        ));
        assert!(matches!(given_up(|_| 100), (60, BodyTooSlow::Whole)));
    }
}
