//! Turns a response with the whole content into the answer to a conditional request or
//! to a request for a range.

use core::ops::Range;

use super::etag::ETag;
use super::precondition::{Precondition, Validators};
use super::range::Asked;
use crate::date::HttpDate;
use crate::export::leak;
use crate::message::Message;
use crate::{Request, Response, Status};

/// Fields that describe the body. A response without the body leaves them out (RFC 9110,
/// section 15.4.5).
const OF_BODY: [&str; 4] = ["content-type", "content-encoding", "content-language", "content-disposition"];

impl<'a> Response<'a> {
    /// Turns this response, which has the whole content, into the answer to a conditional request
    /// or to a request for a range. The validators identify the current state of the content.
    ///
    /// | status | when |
    /// | --- | --- |
    /// | 200 | no condition applies; `accept-ranges` and the validators are added |
    /// | 206 | GET with one `range`, and `If-Range` holds or is missing |
    /// | 304 | GET or HEAD, and the client has this state |
    /// | 412 | `If-Match`, `If-Unmodified-Since` or (not GET, HEAD) `If-None-Match` fails |
    /// | 416 | GET with a `range` that begins past the end |
    ///
    /// A request for several ranges gets the whole content, which RFC 9110, section 14.2 allows. So
    /// does a request for a malformed range, or for a range in a unit other than bytes. If this
    /// response has a success status other than 200, only the preconditions apply, and the
    /// validators are added. A redirect or an error is returned unchanged.
    ///
    /// An action that changes the resource must call [`Request::precondition`] before the change.
    /// This function adds up to four fields, which count towards [`FIELDS_MAX`](crate::FIELDS_MAX).
    #[must_use]
    pub fn conditional(self, request: Request<'_>, validators: &Validators<'_>) -> Response<'a> {
        if self.status().code() >= 300 {
            return self;
        }
        match request.precondition(Some(validators)) {
            Precondition::Passed => {}
            Precondition::NotModified => {
                // The tag says all that the date would (section 15.4.5).
                let last_modified = validators.last_modified.filter(|_| validators.etag.is_none());
                let told = Validators { last_modified, ..*validators };
                return self.emptied(Status::NOT_MODIFIED).with_validators(&told);
            }
            Precondition::Failed => {
                return self.emptied(Status::PRECONDITION_FAILED).with_validators(validators);
            }
        }
        if self.status() != Status::OK {
            return self.with_validators(validators);
        }
        let length = self.body_bytes().len();
        match request.range(validators, length) {
            Asked::Whole => self.field("accept-ranges", "bytes").with_validators(validators),
            Asked::Part(range) => {
                let part = self.body_bytes().get(range.clone()).unwrap_or_default();
                self.with_status(Status::PARTIAL_CONTENT)
                    .body(part)
                    .field("accept-ranges", "bytes")
                    .field("content-range", content_range(Some(range), length))
                    .with_validators(validators)
            }
            Asked::Nothing => self
                .emptied(Status::RANGE_NOT_SATISFIABLE)
                .field("accept-ranges", "bytes")
                .field("content-range", content_range(None, length))
                .with_validators(validators),
        }
    }

    /// Returns the response with this status, without the body and without the fields that describe
    /// the body.
    fn emptied(self, status: Status) -> Response<'a> {
        self.with_status(status)
            .body(b"")
            .retain_fields(|name| !OF_BODY.iter().any(|each| name.eq_ignore_ascii_case(each)))
    }

    fn with_validators(mut self, validators: &Validators<'_>) -> Response<'a> {
        if let Some(etag) = validators.etag {
            self = self.field("etag", etag.field_value());
        }
        if let Some(date) = validators.last_modified {
            let room = leak(HttpDate::LENGTH);
            if let Some(room) = room.first_chunk_mut() {
                date.write_into(room);
            }
            let text: &'static [u8] = room;
            self = self.field("last-modified", text);
        }
        self
    }
}

impl Request<'_> {
    /// Returns which part of the content the request asks for. The content has `length` bytes.
    fn range(&self, current: &Validators<'_>, length: usize) -> Asked {
        // A range has a meaning for GET only (section 14.2).
        if self.method_bytes() != b"GET" {
            return Asked::Whole;
        }
        match self.only("range") {
            Some(range) if self.is_in_range_state(current) => Asked::of(range, length),
            _ => Asked::Whole,
        }
    }

    /// Returns whether the field `if-range` is missing or identifies exactly the current state.
    fn is_in_range_state(&self, current: &Validators<'_>) -> bool {
        if self.field("if-range").is_none() {
            return true;
        }
        match (self.only("if-range").and_then(ETag::parse), current.etag) {
            (Some((asked, b"")), Some(etag)) => asked.is_same_strongly(etag),
            (Some(_), _) => false,
            // The date has to be equal, not later (section 13.1.5).
            (None, _) => {
                let asked = self.date("if-range");
                asked.is_some() && asked == current.last_modified
            }
        }
    }
}

/// Returns the value of the field `content-range`, in leaked memory. Without a range, the value is
/// `bytes */LENGTH`, for status 416.
fn content_range(range: Option<Range<usize>>, length: usize) -> &'static [u8] {
    let write = |room: &mut [u8]| {
        let mut text = Message::new(room);
        text.put(b"bytes ");
        match &range {
            Some(range) => {
                text.put_number(range.start as u32);
                text.put(b"-");
                text.put_number(range.end.saturating_sub(1) as u32);
            }
            None => text.put(b"*"),
        }
        text.put(b"/");
        text.put_number(length as u32);
        text.length()
    };
    let room = leak(write(&mut []));
    write(room);
    room
}
