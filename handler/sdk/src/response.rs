//! The response, and its encoding.
//!
//! The host frames the message, so nothing here writes `content-length`,
//! `date` or `connection`.

use core::fmt;

use crate::abi::SINGLE_FIELDS;
use crate::bytes::{Split, is_field_value, is_token};
use crate::content::Content;
use crate::cookie::SetCookie;
use crate::message::Message;
use crate::route::Methods;
use crate::status::Status;

/// Maximum number of fields of a response. [`Response`] stores its fields inline, because there may
/// be no allocator.
pub const FIELDS_MAX: usize = 16;

/// One HTTP response, which may borrow from the request that it answers.
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
    /// Fields in order, followed by `None` in the unused places.
    fields: [Option<(&'a str, &'a [u8])>; FIELDS_MAX],
    allow: Option<Methods>,
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// Creates a response without fields and without a body.
    pub const fn new(status: Status) -> Self {
        Response { status, fields: [None; FIELDS_MAX], allow: None, body: &[] }
    }

    /// Creates a response of HTML in UTF-8.
    pub fn html(status: Status, page: impl Content<'a>) -> Self {
        Response::typed(status, "text/html; charset=utf-8", page.into_bytes())
    }

    /// Creates a response of plain text in UTF-8.
    pub fn text(status: Status, text: impl Content<'a>) -> Self {
        Response::typed(status, "text/plain; charset=utf-8", text.into_bytes())
    }

    /// Creates a response from encoded JSON. To encode a value, use `Response::json` of the feature
    /// `json`.
    pub fn json_bytes(status: Status, json: impl Content<'a>) -> Self {
        Response::typed(status, "application/json", json.into_bytes())
    }

    /// Creates a response from a value, encoded as JSON.
    ///
    /// # Panics
    ///
    /// When the value cannot be encoded, such as a map whose keys are not text. In a module, only
    /// this request fails, as with [`Response::field`].
    #[cfg(feature = "json")]
    #[allow(clippy::panic, reason = "the author of a handler is to be told at once")]
    #[track_caller]
    pub fn json(status: Status, value: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Response::json_bytes(status, json),
            Err(error) => panic!("a value has no form in JSON: {error}"),
        }
    }

    /// Creates a redirect with status 303, which a client follows with GET. This is the usual
    /// response to a form. For other redirects, add the field `location` to a response with a
    /// status such as [`Status::PERMANENT_REDIRECT`].
    ///
    /// # Panics
    ///
    /// When the location contains control bytes; see [`Response::field`].
    #[track_caller]
    pub fn redirect(location: impl Content<'a>) -> Self {
        Response::new(Status::SEE_OTHER).field("location", location)
    }

    /// Creates a response with a content type, which must be a constant of this file, because it is
    /// not checked.
    #[inline(never)]
    const fn typed(status: Status, media_type: &'static str, body: &'a [u8]) -> Self {
        let mut response = Response::new(status);
        let [first, ..] = &mut response.fields;
        *first = Some(("content-type", media_type.as_bytes()));
        response.body = body;
        response
    }

    /// Sets a field, in place of all fields of this name. Case does not matter in the name. The
    /// value may come from a client: this function panics on bytes that would end the line.
    ///
    /// ```
    /// # use handler_sdk::{Response, Status};
    /// let response = Response::html(Status::OK, "<svg/>").field("content-type", "image/svg+xml");
    /// assert_eq!(response.field_value("content-type"), Some(&b"image/svg+xml"[..]));
    /// assert_eq!(response.fields().count(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// When the name is not a token, the value contains control bytes, or there are [`FIELDS_MAX`]
    /// fields of other names already. In a module, only this request fails: the client gets status
    /// 500, and the panic message is logged.
    #[must_use]
    #[track_caller]
    pub fn field(mut self, name: &'a str, value: impl Content<'a>) -> Self {
        self.set(name, value.into_bytes());
        self
    }

    /// Adds a field without removing others of this name, as for a second `link`. A field that may
    /// occur only once ([`SINGLE_FIELDS`]), such as `content-type`, is replaced, as by
    /// [`Response::field`].
    ///
    /// # Panics
    ///
    /// Under the same conditions as [`Response::field`], and when there are [`FIELDS_MAX`] fields
    /// already, even of the same name.
    #[must_use]
    #[track_caller]
    pub fn add_field(mut self, name: &'a str, value: impl Content<'a>) -> Self {
        if SINGLE_FIELDS.iter().any(|single| single.eq_ignore_ascii_case(name)) {
            self.set(name, value.into_bytes());
        } else {
            self.add(name, value.into_bytes());
        }
        self
    }

    /// Removes all fields of this name. Case does not matter in the name.
    #[must_use]
    pub fn without_field(mut self, name: &str) -> Self {
        self.remove(name);
        self
    }

    /// Adds a name to the field `vary`, unless the field lists the name or `*`.
    ///
    /// # Panics
    ///
    /// When there are [`FIELDS_MAX`] fields already, or the name contains control bytes.
    #[must_use]
    #[track_caller]
    pub fn vary(mut self, name: &'a str) -> Self {
        let listed =
            self.field_values("vary").flat_map(|value| Split::new(value, b',')).map(<[u8]>::trim_ascii);
        if listed.into_iter().all(|each| each != b"*" && !each.eq_ignore_ascii_case(name.as_bytes())) {
            self.add("vary", name.as_bytes());
        }
        self
    }

    #[inline(never)]
    #[track_caller]
    fn set(&mut self, name: &'a str, value: &'a [u8]) {
        self.remove(name);
        self.add(name, value);
    }

    #[inline(never)]
    fn remove(&mut self, name: &str) {
        let is_named =
            |field: &Option<(&str, &[u8])>| field.is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        while let Some(place) = self.fields.iter().position(is_named) {
            self.fields.copy_within(place + 1.., place);
            let [.., last] = &mut self.fields;
            *last = None;
        }
    }

    #[allow(clippy::panic, reason = "the author of a handler is to be told at once")]
    #[inline(never)]
    #[track_caller]
    fn add(&mut self, name: &'a str, value: &'a [u8]) {
        let place = self.fields.iter_mut().find(|place| place.is_none());
        let cause = match place {
            _ if !is_token(name) => "a field's name is a token (RFC 9110, section 5.6.2)",
            _ if !is_field_value(value) => "a field's value has no control bytes (RFC 9110, section 5.5)",
            None => "a response has at most 16 fields",
            Some(place) => {
                *place = Some((name, value));
                return;
            }
        };
        panic!("{}", BadField { name, cause });
    }

    /// Adds a field `set-cookie`.
    ///
    /// # Panics
    ///
    /// When there are [`FIELDS_MAX`] fields already; each cookie is one.
    #[must_use]
    #[track_caller]
    pub fn set_cookie(mut self, cookie: &SetCookie<'_>) -> Self {
        self.add("set-cookie", cookie.field_value());
        self
    }

    /// Sets the field `allow` to these methods.
    #[must_use]
    pub const fn allow(mut self, methods: Methods) -> Self {
        self.allow = Some(methods);
        self
    }

    pub(crate) const fn set_allow(&mut self, methods: Methods) {
        self.allow = Some(methods);
    }

    /// Sets the body. For HEAD, set the body that GET would have: the host sends only the
    /// length of the body.
    #[must_use]
    pub fn body(mut self, body: impl Content<'a>) -> Self {
        self.body = body.into_bytes();
        self
    }

    /// Sets the status.
    #[must_use]
    pub const fn with_status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Removes the fields for whose names `is_wanted` returns false.
    pub(crate) fn retain_fields(mut self, is_wanted: impl Fn(&str) -> bool) -> Self {
        let fields = self.fields.into_iter().flatten().filter(|(name, _)| is_wanted(name));
        let mut kept = [None; FIELDS_MAX];
        kept.iter_mut().zip(fields).for_each(|(place, field)| *place = Some(field));
        self.fields = kept;
        self
    }

    /// Returns the status.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns the fields in order, without the field that [`Response::allow`] sets.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
        self.fields.iter().map_while(|field| *field)
    }

    /// Returns the value of the first field of this name. Case does not matter in the
    /// name.
    pub fn field_value(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// Returns the values of all fields of this name. Case does not matter in the name.
    pub fn field_values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.fields().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the methods in the field `allow`. The router sets this field in responses with
    /// status 405 and in responses to OPTIONS.
    pub const fn allowed_methods(&self) -> Option<Methods> {
        self.allow
    }

    /// Returns the body.
    pub const fn body_bytes(&self) -> &'a [u8] {
        self.body
    }

    /// Fills in an error response from this page: returns `response` with the body of the page, and
    /// with those fields of the page that `response` lacks.
    pub(crate) fn under(&self, response: &Response<'a>) -> Self {
        let own = self
            .fields
            .iter()
            .filter(|field| field.is_some_and(|(name, _)| response.field_value(name).is_none()));
        let mut page = *response;
        let free = page.fields.iter_mut().filter(|place| place.is_none());
        free.zip(own).for_each(|(place, field)| *place = *field);
        page.body = self.body;
        page
    }

    /// Returns the number of bytes that [`Response::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        self.write(&mut [])
    }

    /// Encodes the response into `room` and returns its length in bytes, or `None`
    /// when `room` is too short.
    pub fn encode(&self, room: &mut [u8]) -> Option<usize> {
        let length = self.write(room);
        (length <= room.len()).then_some(length)
    }

    /// Writes as much of the encoded response as fits, and returns its full length in bytes. The
    /// same function measures and writes, because the host would have to compile a second function
    /// at every swap.
    #[inline(never)]
    fn write(&self, room: &mut [u8]) -> usize {
        let mut message = Message::new(room);
        let code = self.status.code();
        let [hundreds, tens, ones] = [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8);
        message.put(&[b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', hundreds, tens, ones, b' ']);
        message.put(self.status.reason().as_bytes());
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
        message.length()
    }
}

/// Message of the panic when a field cannot be added to a response.
struct BadField<'a> {
    name: &'a str,
    cause: &'static str,
}

/// Ignores formatting options such as a width, because the code for padding would make a module
/// larger.
impl fmt::Display for BadField<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        [self.cause, ", found the field `", self.name, "`"]
            .into_iter()
            .try_for_each(|piece| out.write_str(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::{FIELDS_MAX, Methods, Response, Status};
    use crate::Method;
    use std::prelude::rust_2024::*;

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
        let full = (0..FIELDS_MAX).fold(Response::new(Status::OK), |r, _| r.add_field("a", "b"));
        assert_eq!(full.encoded_len(), "HTTP/1.1 200 OK\r\n\r\n".len() + FIELDS_MAX * "a: b\r\n".len());
    }

    #[test]
    #[should_panic(expected = "at most 16 fields, found the field `a`")]
    fn one_field_more_panics() {
        let _ = (0..=FIELDS_MAX).fold(Response::new(Status::OK), |r, _| r.add_field("a", "b"));
    }

    #[test]
    #[should_panic(expected = "no control bytes (RFC 9110, section 5.5), found the field `location`")]
    fn a_value_cannot_begin_another_field() {
        let _ = Response::new(Status::OK).field("location", "/\r\nset-cookie: a=b");
    }

    #[test]
    #[should_panic(expected = "is a token (RFC 9110, section 5.6.2), found the field `a b`")]
    fn a_name_cannot_be_two_words() {
        let _ = Response::new(Status::OK).field("a b", "c");
    }

    #[test]
    fn a_panic_names_the_line_that_set_the_field() {
        let wrong: [fn(); 5] = [
            || drop_it(Response::new(Status::OK).field("a b", "c")),
            || drop_it(Response::new(Status::OK).add_field("a b", "c")),
            || drop_it(Response::new(Status::OK).add_field("location", "\n")),
            || drop_it(Response::redirect("\n")),
            || drop_it(Response::new(Status::OK).vary("\n")),
        ];
        let first = line!() - 6;
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        // The hook belongs to all tests, so it asks which thread panics.
        let (kept, own) = (std::sync::Arc::clone(&lines), std::thread::current().id());
        let before = std::panic::take_hook();
        std::panic::set_hook(std::boxed::Box::new(move |info| match info.location() {
            Some(place) if std::thread::current().id() == own => kept.lock().unwrap().push(place.line()),
            _ => before(info),
        }));
        let have_panicked = wrong.map(|wrong| std::panic::catch_unwind(wrong).is_err());
        let _ = std::panic::take_hook();
        assert_eq!(have_panicked, [true; 5]);
        assert_eq!(*lines.lock().unwrap(), (first..first + 5).collect::<Vec<_>>());
    }

    fn drop_it(_: Response<'_>) {}

    #[test]
    fn a_field_is_replaced_and_only_lists_stand_twice() {
        let page = || Response::html(Status::OK, "");
        for (name, response, expected) in [
            ("set", page().field("Content-Type", "a/b"), "Content-Type: a/b"),
            ("add one that stands once", page().add_field("CONTENT-TYPE", "a/b"), "CONTENT-TYPE: a/b"),
            (
                "set after several",
                page().add_field("link", "1").add_field("x", "y").add_field("Link", "2").field("link", "3"),
                "content-type: text/html; charset=utf-8|x: y|link: 3",
            ),
            (
                "add a list",
                page().field("content-type", "a/b").field("link", "1").add_field("link", "2"),
                "content-type: a/b|link: 1|link: 2",
            ),
            ("remove", page().without_field("Content-type"), ""),
            (
                "remove what is not there",
                page().without_field("link"),
                "content-type: text/html; charset=utf-8",
            ),
            (
                "vary once",
                Response::new(Status::OK).vary("origin").vary("Origin").vary("accept"),
                "vary: origin|vary: accept",
            ),
            (
                "vary in a list",
                Response::new(Status::OK).field("vary", "accept, Origin").vary("origin"),
                "vary: accept, Origin",
            ),
            ("vary on all", Response::new(Status::OK).field("vary", "*").vary("origin"), "vary: *"),
        ] {
            let fields: Vec<_> = response
                .fields()
                .map(|(name, value)| std::format!("{name}: {}", value.escape_ascii()))
                .collect();
            assert_eq!(fields.join("|"), expected, "{name}");
        }
    }

    #[test]
    fn what_was_set_can_be_read() {
        let methods = Methods::of(&[Method::Get]);
        let response = Response::text(Status::OK, "a").with_status(Status::CREATED).allow(methods);
        assert_eq!((response.status(), response.body_bytes()), (Status::CREATED, &b"a"[..]));
        assert_eq!(response.field_value("CONTENT-TYPE"), Some(&b"text/plain; charset=utf-8"[..]));
        assert_eq!(response.allowed_methods(), Some(methods));
        assert_eq!(methods.names().collect::<Vec<_>>(), ["GET", "HEAD", "OPTIONS"]);
    }
}
