//! Reads whole request bodies within time limits, and counts their memory towards
//! `--buffer-max`.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use host_http::wire::BadMessage;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::config::connection::ConnectionLimits;
use crate::fault::{BodyTooSlow, Fault};
use crate::serve::buffers::{Buffers, Share, UNCOUNTED};
use crate::serve::read_into::ReadInto;

/// Reads a body. A body whose stated length is too large is refused before it is read.
/// The memory of the body counts until the returned share is dropped.
pub(super) async fn read_body(
    mut body: Incoming,
    limits: &ConnectionLimits,
    buffers: &Buffers,
    read_into: &ReadInto,
) -> Result<(Vec<Bytes>, Share), Fault> {
    let limit = limits.body_max;
    let too_long = || Fault::BodyTooLong { limit };
    let stated = body.size_hint().lower();
    if stated > limit as u64 {
        return Err(too_long());
    }
    let mut pace = Pace::new(limits, Instant::now());
    let mut pieces = Pieces { stated: usize::try_from(stated).unwrap_or(limit), ..Pieces::default() };
    let mut left = limit;
    loop {
        match timeout_at(pace.next_look(), body.frame()).await {
            Err(_) => pace.came(0, Instant::now()).map_err(Fault::BodyTooSlow)?,
            Ok(None) => return Ok(pieces.finish()),
            Ok(Some(Err(error))) => return Err(unreadable(error)),
            // Discards trailers, because merging them into the headers is unsafe (RFC
            // 9110, section 6.5.1).
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    left = left.checked_sub(piece.len()).ok_or_else(too_long)?;
                    let bytes = piece.len();
                    pieces.push(piece, read_into, buffers)?;
                    pace.came(bytes, Instant::now()).map_err(Fault::BodyTooSlow)?;
                }
            }
        }
    }
}

/// Returns the fault for a read error, which is either a `BadMessage` of
/// `serve::stream` or an error of hyper.
fn unreadable(error: hyper::Error) -> Fault {
    let error = anyhow::Error::new(error);
    // Unwraps the `io::Error`, because the error inside it is not in the error chain.
    let of_stream = error.root_cause().downcast_ref::<io::Error>().and_then(|error| error.get_ref());
    let of_stream = of_stream.and_then(|why| why.downcast_ref::<BadMessage>());
    of_stream.map_or_else(|| Fault::BodyUnreadable(format!("{error:#}")), |why| why.clone().into())
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

/// Pieces of a body. A kept piece keeps hyper's whole read buffer alive, so only a large
/// piece that fills at least half of its buffer is kept. Other pieces are copied and joined.
#[derive(Default)]
struct Pieces {
    /// Stated length in bytes; 0 for a chunked body.
    stated: usize,
    whole: Vec<Bytes>,
    last: Vec<u8>,
    /// Capacity of all kept buffers, in bytes.
    capacity: usize,
    /// Address range of the buffer of the last kept piece.
    kept_in: Range<usize>,
    share: Share,
}

impl Pieces {
    /// Size in bytes of the buffers for joined pieces; the first one may be smaller.
    const STEP: usize = UNCOUNTED;

    /// Smallest piece that is kept without copying, in bytes.
    const LARGE: usize = 16 << 10;

    fn push(&mut self, piece: Bytes, read_into: &ReadInto, buffers: &Buffers) -> Result<(), Fault> {
        let place = piece.as_ptr().addr()..piece.as_ptr().addr() + piece.len();
        let buffer = read_into.buffer();
        // The size of the buffer is known only for a piece from the last read.
        let is_known = buffer.start <= place.start && place.end <= buffer.end;
        if !is_known || piece.len() < Self::LARGE || 2 * piece.len() < buffer.len() {
            return self.put_together(&piece, buffers);
        }
        self.set_aside();
        if self.kept_in != buffer {
            self.take(buffer.len(), buffers)?;
            self.kept_in = buffer;
        }
        self.whole.push(piece);
        Ok(())
    }

    fn put_together(&mut self, mut bytes: &[u8], buffers: &Buffers) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if self.last.len() == self.last.capacity() {
                self.make_room(bytes.len(), buffers)?;
            }
            let room = self.last.capacity() - self.last.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Allocates a buffer for joined pieces. Trusts the stated length only up to `STEP`
    /// bytes: a client can state any length without sending the bytes.
    fn make_room(&mut self, missing: usize, buffers: &Buffers) -> Result<(), Fault> {
        let has = self.last.capacity();
        if has < Self::STEP && self.whole.is_empty() {
            let wanted = self.stated.max(missing + has).max(2 * has).min(Self::STEP);
            self.take(wanted - has, buffers)?;
            self.last.reserve_exact(wanted - has);
        } else {
            self.set_aside();
            self.take(Self::STEP, buffers)?;
            self.last = Vec::with_capacity(Self::STEP);
        }
        Ok(())
    }

    /// Counts memory towards the budget. New memory is counted before it is allocated.
    fn take(&mut self, bytes: usize, buffers: &Buffers) -> Result<(), Fault> {
        buffers.extend(&mut self.share, self.capacity + bytes)?;
        self.capacity += bytes;
        Ok(())
    }

    /// Moves the joined pieces to the finished parts of the body.
    fn set_aside(&mut self) {
        if !self.last.is_empty() {
            self.whole.push(std::mem::take(&mut self.last).into());
        }
    }

    fn finish(mut self) -> (Vec<Bytes>, Share) {
        self.set_aside();
        (self.whole, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyTooSlow, Fault, Pace, Pieces};
    use crate::cli::args::Args;
    use crate::config::connection::ConnectionLimits;
    use crate::serve::buffers::Buffers;
    use crate::serve::read_into::{ReadInto, Seen};
    use bytes::BytesMut;
    use clap::Parser;
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    /// Pushes a piece that has a read buffer of `room` bytes. Returns the capacity of the
    /// buffer if the piece is kept, and 0 if it is copied.
    fn push(pieces: &mut Pieces, piece: &[u8], room: usize, buffers: &Buffers) -> Result<usize, Fault> {
        let mut buffer = BytesMut::with_capacity(room.max(piece.len()));
        let read_into = ReadInto::default();
        let mut seen = Seen::default();
        seen.look(buffer.spare_capacity_mut().as_ptr().addr(), buffer.capacity(), &read_into);
        let capacity = buffer.capacity();
        buffer.extend_from_slice(piece);
        let count = pieces.whole.len();
        pieces.push(buffer.split().freeze(), &read_into, buffers)?;
        let is_kept = pieces.whole.len() > count && pieces.last.is_empty();
        Ok(if is_kept { capacity } else { 0 })
    }

    #[test]
    fn pieces_of_any_size_stay_in_order_and_take_up_no_more_than_is_counted() {
        for (stated, room) in [(0, 0), (1, 8 << 10), (100, 64 << 10), (200_000, 128 << 10)] {
            let buffers = Buffers::new(8 * Pieces::STEP);
            let mut pieces = Pieces { stated, ..Pieces::default() };
            let (mut whole, mut kept) = (Vec::new(), 0);
            for (index, size) in [1, 4095, 4096, 1, 1, 9000, 100_000, 2, 90_000].into_iter().enumerate() {
                let piece = vec![index as u8; size];
                kept += push(&mut pieces, &piece, room, &buffers).unwrap();
                whole.extend(piece);
                assert!(pieces.capacity >= kept + pieces.last.capacity());
                assert!(pieces.capacity >= whole.len());
                assert!(pieces.capacity <= Pieces::STEP.max(buffers.used()));
            }
            assert!(kept >= 190_000, "large pieces are kept as they are");
            while push(&mut pieces, &[0; 10_000], room, &buffers).is_ok() {}
            let (all, share) = pieces.finish();
            assert!(all.concat().starts_with(&whole));
            drop(share);
            assert_eq!(buffers.used(), 0);
        }
    }

    #[test]
    fn a_small_piece_does_not_hold_on_to_a_large_buffer() {
        let buffers = Buffers::new(4 * Pieces::STEP);
        let mut pieces = Pieces::default();
        for _ in 0..3 {
            assert_eq!(push(&mut pieces, &[1; 60_000], 128 << 10, &buffers).unwrap(), 0);
        }
        assert_eq!(pieces.capacity, 3 * Pieces::STEP);
    }

    #[test]
    fn a_buffer_is_counted_once_however_many_pieces_are_kept_in_it() {
        let (buffers, read_into, mut seen) = (Buffers::new(1 << 20), ReadInto::default(), Seen::default());
        let mut buffer = BytesMut::with_capacity(100_000);
        let mut pieces = Pieces::default();
        for _ in 0..2 {
            let room = buffer.spare_capacity_mut();
            seen.look(room.as_ptr().addr(), room.len(), &read_into);
            buffer.extend_from_slice(&[1; 50_000]);
            seen.filled(50_000);
            pieces.push(buffer.split().freeze(), &read_into, &buffers).unwrap();
        }
        assert_eq!((pieces.whole.len(), pieces.capacity), (2, 100_000));
    }

    #[test]
    fn a_small_body_takes_up_what_it_states() {
        let mut pieces = Pieces { stated: 100, ..Pieces::default() };
        (0..100).for_each(|_| _ = push(&mut pieces, b"x", 8192, &Buffers::new(0)).unwrap());
        assert_eq!(pieces.capacity, 100);
    }

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
