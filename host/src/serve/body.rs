//! Reads whole request bodies of HTTP/1.1 within the limits on size, time and rate, and counts their
//! memory towards `--buffer-max`.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use host_http::h1::{BadMessage, Chunks, Framing, MessageLimits, Part};
use tokio::time::Instant;

use crate::config::connection::ConnectionLimits;
use crate::fault::Fault;
use crate::serve::body_pace::Pace;
use crate::serve::body_pieces::Pieces;
use crate::serve::buffers::{Buffers, Share, UNCOUNTED};
use crate::serve::stream::{Arrived, Stream};

/// Reads a body and appends it to `body`. A body whose stated length is too large is refused before
/// it is read. The memory of the body counts towards the budget until the returned share is
/// dropped.
pub(super) async fn read_body(
    stream: &mut Stream,
    framing: Framing,
    limits: &ConnectionLimits,
    buffers: &Buffers,
    body: &mut Vec<Bytes>,
) -> Result<Share, Fault> {
    let pieces = Pieces::new(body, buffers, UNCOUNTED);
    let mut reader = Reader { stream, pace: Pace::new(limits, Instant::now()), pieces };
    match framing {
        Framing::None => {}
        Framing::Length(length) => reader.plain(check_length(length, limits)?).await?,
        Framing::Chunked => reader.chunked(&MessageLimits::from(limits)).await?,
    }
    Ok(reader.pieces.end())
}

/// Returns the stated length of a body, or fails if the length is above the limit.
pub(super) fn check_length(length: u64, limits: &ConnectionLimits) -> Result<usize, Fault> {
    let limit = limits.body_max;
    usize::try_from(length).ok().filter(|length| *length <= limit).ok_or(Fault::BodyTooLong { limit })
}

/// A body that is being read from a connection of HTTP/1.1.
struct Reader<'a> {
    stream: &'a mut Stream,
    pace: Pace<'a>,
    pieces: Pieces<'a>,
}

impl Reader<'_> {
    async fn plain(&mut self, length: usize) -> Result<(), Fault> {
        // Takes a body that has arrived as it is.
        if self.stream.input.len() >= length {
            self.pieces.whole.push(self.stream.input.split_to(length).freeze());
            return Ok(());
        }
        let mut left = length - self.stream.input.len();
        let arrived = self.stream.input.split();
        self.pieces.put(&arrived, left)?;
        drop(arrived);
        while left > 0 {
            let mut room = self.pieces.room(left)?.limit(left);
            let received = self.stream.read_body(&mut room, self.pace.next_look()).await;
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
                    self.pieces.put(&data, 0)?;
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
}

/// Returns how many bytes of a body a read has received, which may be 0, and checks the limits on
/// time and rate.
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
