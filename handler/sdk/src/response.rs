//! The response as a value, and its bytes.
//!
//! The host frames the message, so nothing here writes `content-length`,
//! `date` or `connection`.

use crate::bytes::{is_field_value, is_token};
use crate::route::Methods;

/// The most fields that [`Response::field`] can add to one response. They are
/// kept inside the value, since there is no allocator to ask.
pub const FIELDS_MAX: usize = 8;

/// A status code and its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    code: u16,
    reason: &'static str,
}

impl Status {
    /// 200 OK
    pub const OK: Status = Status::new(200, "OK");
    /// 204 No Content
    pub const NO_CONTENT: Status = Status::new(204, "No Content");
    /// 400 Bad Request
    pub const BAD_REQUEST: Status = Status::new(400, "Bad Request");
    /// 404 Not Found
    pub const NOT_FOUND: Status = Status::new(404, "Not Found");
    /// 405 Method Not Allowed
    pub const METHOD_NOT_ALLOWED: Status = Status::new(405, "Method Not Allowed");

    /// A status of your own, or one with a reason phrase of your own.
    ///
    /// # Panics
    ///
    /// When the code is not a final one (200 to 599), or the phrase holds
    /// control bytes. In a `const`, that is an error of the compiler.
    ///
    /// ```
    /// # use handler_sdk::Status;
    /// const TEAPOT: Status = Status::new(418, "I'm a teapot");
    /// assert_eq!(TEAPOT.code(), 418);
    /// ```
    pub const fn new(code: u16, reason: &'static str) -> Status {
        assert!(200 <= code && code <= 599, "a final status code is 200 to 599");
        let mut rest = reason.as_bytes();
        while let [byte, after @ ..] = rest {
            assert!(*byte >= b' ' && *byte != 0x7f, "a reason phrase has no control bytes");
            rest = after;
        }
        Status { code, reason }
    }

    /// The code, 200 to 599.
    pub const fn code(self) -> u16 {
        self.code
    }

    /// The reason phrase.
    pub const fn reason(self) -> &'static str {
        self.reason
    }
}

/// One HTTP response, which may borrow from the request it answers.
///
/// ```
/// # use handler_sdk::{Response, Status};
/// let response = Response::new(Status::OK).field("content-type", "text/plain").body(b"hi");
/// let mut bytes = [0; 64];
/// let length = response.encode(&mut bytes).unwrap();
/// assert_eq!(&bytes[..length], b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhi");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    status: Status,
    /// Those that are there come first.
    fields: [Option<(&'a str, &'a [u8])>; FIELDS_MAX],
    allow: Option<Methods>,
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// A response without fields and without a body.
    pub const fn new(status: Status) -> Self {
        Response { status, fields: [None; FIELDS_MAX], allow: None, body: &[] }
    }

    /// A page of HTML in UTF-8.
    pub fn html(status: Status, page: &'a str) -> Self {
        Response::typed(status, "text/html; charset=utf-8", page.as_bytes())
    }

    /// Of a type that stands in this file, and so is not checked at every call.
    #[inline(never)]
    const fn typed(status: Status, media_type: &'static str, body: &'a [u8]) -> Self {
        let mut response = Response::new(status);
        let [first, ..] = &mut response.fields;
        *first = Some(("content-type", media_type.as_bytes()));
        response.body = body;
        response
    }

    /// Adds a field. What a client sent may be passed on as a value: bytes that
    /// would end the line and begin another are caught here.
    ///
    /// # Panics
    ///
    /// When the name is no token or the value holds control bytes, and on the
    /// field after the last of [`FIELDS_MAX`]. In a module a panic costs that
    /// one request: the client gets 500, and the log has the text.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the author of a handler is to be told at once")]
    pub fn field(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let value = value.as_ref();
        assert!(is_token(name), "a field's name is a token (RFC 9110, section 5.6.2)");
        assert!(is_field_value(value), "a field's value has no control bytes (RFC 9110, section 5.5)");
        let place = self.fields.iter_mut().find(|place| place.is_none());
        *place.expect("a response has at most 8 fields") = Some((name, value));
        self
    }

    /// Adds the field `allow` with these methods.
    #[must_use]
    pub const fn allow(mut self, methods: Methods) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Sets the body. For a HEAD request give the body that GET would have: the
    /// host sends its length, and not the body.
    #[must_use]
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// The status given at the start.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// How many bytes [`Response::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        self.write(&mut [])
    }

    /// Writes the response as one HTTP/1.1 message to the beginning of `room`
    /// and returns its length in bytes, or `None` when there is too little room.
    pub fn encode(&self, room: &mut [u8]) -> Option<usize> {
        let length = self.write(room);
        (length <= room.len()).then_some(length)
    }

    /// Writes what fits, and returns the length of the whole: what is measured
    /// is what is written. It is one function for both, because code that a
    /// module has twice is compiled twice at every swap.
    #[inline(never)]
    fn write(&self, room: &mut [u8]) -> usize {
        let mut message = Message { room, length: 0 };
        let code = self.status.code;
        let [hundreds, tens, ones] = [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8);
        message.put(&[b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', hundreds, tens, ones, b' ']);
        message.put(self.status.reason.as_bytes());
        for (name, value) in self.fields.iter().map_while(|field| *field) {
            message.put(b"\r\n");
            message.put(name.as_bytes());
            message.put(b": ");
            message.put(value);
        }
        if let Some(methods) = self.allow {
            let mut before = "\r\nallow: ";
            for name in methods.names() {
                message.put(before.as_bytes());
                message.put(name.as_bytes());
                before = ", ";
            }
        }
        message.put(b"\r\n\r\n");
        message.put(self.body);
        message.length
    }
}

/// A message that is being written.
struct Message<'r> {
    room: &'r mut [u8],
    /// What it would be long by now, in bytes, were there room for everything.
    length: usize,
}

impl Message<'_> {
    #[inline(never)]
    fn put(&mut self, piece: &[u8]) {
        let end = self.length + piece.len();
        if let Some(place) = self.room.get_mut(self.length..end) {
            copy(piece, place);
        }
        self.length = end;
    }
}

/// Copies a piece to a place of its length. Most pieces of a head are short, and
/// are copied in words: WebAssembly's instruction for copying has an engine leave
/// the module's code, which takes longer than that.
fn copy(piece: &[u8], place: &mut [u8]) {
    if piece.len() > 32 {
        return place.copy_from_slice(piece);
    }
    // Sixteen at once would be that instruction again.
    if let (Some(first), Some(place)) = (piece.first_chunk::<16>(), place.first_chunk_mut::<16>()) {
        copy_ends::<8>(first, place);
    }
    if let (Some(last), Some(place)) = (piece.last_chunk::<16>(), place.last_chunk_mut::<16>()) {
        copy_ends::<8>(last, place);
        return;
    }
    let _ = copy_ends::<8>(piece, place)
        || copy_ends::<4>(piece, place)
        || copy_ends::<2>(piece, place)
        || copy_ends::<1>(piece, place);
}

/// Copies the first `N` bytes and the last, which together are the whole of a
/// piece of up to twice that length. False when it is shorter than `N`.
#[inline(always)]
fn copy_ends<const N: usize>(piece: &[u8], place: &mut [u8]) -> bool {
    if let (Some(first), Some(first_place)) = (piece.first_chunk::<N>(), place.first_chunk_mut::<N>()) {
        *first_place = *first;
    }
    let (Some(last), Some(last_place)) = (piece.last_chunk::<N>(), place.last_chunk_mut::<N>()) else {
        return false;
    };
    *last_place = *last;
    true
}

#[cfg(test)]
mod tests {
    use super::{FIELDS_MAX, Response, Status};

    #[test]
    fn too_little_room_is_told_and_the_length_is_exact() {
        let response = Response::html(Status::OK, "page");
        let mut room = [0; 128];
        let length = response.encoded_len();
        assert_eq!(response.encode(&mut room), Some(length));
        assert_eq!(response.encode(&mut room[..length]), Some(length));
        assert_eq!(response.encode(&mut room[..length - 1]), None);
    }

    #[test]
    fn pieces_of_every_length_are_copied_whole() {
        let text: [u8; 99] = core::array::from_fn(|place| b'!' + place as u8 % 90);
        for length in 0..text.len() {
            let response = Response::new(Status::OK).body(&text[..length]);
            let mut room = [0; 128];
            let end = response.encode(&mut room).unwrap();
            assert_eq!(&room[end - length..end], &text[..length]);
            assert!(room[end..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn the_last_field_fits() {
        let full = (0..FIELDS_MAX).fold(Response::new(Status::OK), |r, _| r.field("a", "b"));
        assert_eq!(full.encoded_len(), "HTTP/1.1 200 OK\r\n\r\n".len() + FIELDS_MAX * "a: b\r\n".len());
    }

    #[test]
    #[should_panic(expected = "at most 8 fields")]
    fn one_field_more_panics() {
        let _ = (0..=FIELDS_MAX).fold(Response::new(Status::OK), |r, _| r.field("a", "b"));
    }

    #[test]
    #[should_panic(expected = "no control bytes")]
    fn a_value_cannot_begin_another_field() {
        let _ = Response::new(Status::OK).field("location", "/\r\nset-cookie: a=b");
    }

    #[test]
    #[should_panic(expected = "is a token")]
    fn a_name_cannot_be_two_words() {
        let _ = Response::new(Status::OK).field("a b", "c");
    }
}
