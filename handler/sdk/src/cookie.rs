//! Cookies that a client sends, and the field that sets one (RFC 6265).

use crate::Request;
use crate::bytes::{Split, is_token, split_once};
use crate::encoded::{Encoded, escape};
use crate::export::leak;
use crate::message::Message;

impl<'a> Request<'a> {
    /// Returns the cookies of the request in order. Pieces without `=` are skipped.
    ///
    /// Names are not decoded: otherwise a cookie named `__%48ost-a` could pass for
    /// `__Host-a`, which only a secure origin can set.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a [u8], Encoded<'a>)> + use<'a> {
        self.field_values("cookie").flat_map(|value| Split::new(value, b';')).filter_map(|piece| {
            let (name, value) = split_once(piece, b'=')?;
            Some((name.trim_ascii(), Encoded::percent(value.trim_ascii())))
        })
    }

    /// Returns the value of the first cookie of this name. Names are
    /// case-sensitive.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET / HTTP/1.1\r\ncookie: a=1; theme=dark\r\n\r\n").unwrap();
    /// assert!(request.cookie("theme").is_some_and(|theme| theme.is("dark")));
    /// assert!(request.cookie("Theme").is_none());
    /// ```
    pub fn cookie(&self, name: &str) -> Option<Encoded<'a>> {
        self.cookies().find(|(each, _)| *each == name.as_bytes()).map(|(_, value)| value)
    }
}

/// Attribute `SameSite` of a cookie: the cross-site requests with which a browser sends the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// The browser never sends the cookie with cross-site requests.
    Strict,
    /// The browser sends the cookie with cross-site requests only for top-level navigations, such
    /// as following a link.
    Lax,
    /// The browser sends the cookie with all cross-site requests. Browsers refuse such a cookie
    /// without [`SetCookie::secure`].
    None,
}

/// A cookie for the client to keep, with its attributes; see
/// [`Response::set_cookie`](crate::Response::set_cookie).
///
/// ```
/// use handler_sdk::{Response, SameSite, SetCookie, Status};
/// let session = SetCookie::new("session", "a b").path("/").max_age(3600).http_only().same_site(SameSite::Lax);
/// let response = Response::new(Status::NO_CONTENT).set_cookie(&session).set_cookie(&SetCookie::removal("old"));
/// let mut room = [0; 256];
/// let length = response.encode(&mut room).unwrap();
/// assert_eq!(std::str::from_utf8(&room[..length]).unwrap(), "HTTP/1.1 204 No Content\r\n\
///     set-cookie: session=a%20b; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax\r\n\
///     set-cookie: old=; Max-Age=0\r\n\r\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    path: Option<&'a str>,
    domain: Option<&'a str>,
    max_age: Option<u32>,
    http_only: bool,
    secure: bool,
    same_site: Option<SameSite>,
}

impl<'a> SetCookie<'a> {
    /// Creates a cookie that lasts until the browser is closed. The value may be any text: `%` and
    /// bytes that a cookie must not contain are percent-encoded, and the result of
    /// [`Request::cookie`] decodes them.
    ///
    /// # Panics
    ///
    /// When the name is not a token; in a `const`, a compile error.
    #[track_caller]
    pub const fn new(name: &'a str, value: &'a str) -> Self {
        assert!(is_token(name), "a cookie's name is a token (RFC 6265, section 4.1.1)");
        SetCookie {
            name,
            value,
            path: None,
            domain: None,
            max_age: None,
            http_only: false,
            secure: false,
            same_site: None,
        }
    }

    /// Creates a cookie that makes the browser delete the cookie of this name. Path and domain must
    /// be the same as in the cookie to delete.
    ///
    /// # Panics
    ///
    /// Under the same conditions as [`SetCookie::new`].
    #[track_caller]
    pub const fn removal(name: &'a str) -> Self {
        SetCookie::new(name, "").max_age(0)
    }

    /// Restricts the cookie to a path and the paths below it. By default, a browser restricts the
    /// cookie to the folder of the path that it requested.
    ///
    /// # Panics
    ///
    /// When the value contains a control byte or `;`.
    #[must_use]
    #[track_caller]
    pub const fn path(mut self, path: &'a str) -> Self {
        assert!(is_attribute_value(path), "a cookie's path has no control bytes and no `;`");
        self.path = Some(path);
        self
    }

    /// Lets browsers send the cookie to a domain and its subdomains; by default, only to the host
    /// that set the cookie.
    ///
    /// # Panics
    ///
    /// When the value contains a control byte or `;`.
    #[must_use]
    #[track_caller]
    pub const fn domain(mut self, domain: &'a str) -> Self {
        assert!(is_attribute_value(domain), "a cookie's domain has no control bytes and no `;`");
        self.domain = Some(domain);
        self
    }

    /// Sets the lifetime of the cookie in seconds. By default, the cookie lasts until the browser
    /// is closed.
    #[must_use]
    pub const fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// Hides the cookie from scripts in the page.
    #[must_use]
    pub const fn http_only(mut self) -> Self {
        self.http_only = true;
        self
    }

    /// Restricts the cookie to HTTPS.
    #[must_use]
    pub const fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Sets which cross-site requests the cookie is sent with.
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// Returns the value of the field `set-cookie`, in leaked memory.
    pub(crate) fn field_value(&self) -> &'static [u8] {
        let room = leak(self.write(&mut []));
        self.write(room);
        room
    }

    /// Writes as much of the field value as fits, and returns its full length in bytes.
    fn write(&self, room: &mut [u8]) -> usize {
        let mut field = Message::new(room);
        field.put(self.name.as_bytes());
        field.put(b"=");
        for byte in self.value.bytes() {
            if is_cookie_byte(byte) { field.put(&[byte]) } else { field.put(&escape(byte)) }
        }
        for (name, value) in [("; Path=", self.path), ("; Domain=", self.domain)] {
            if let Some(value) = value {
                field.put(name.as_bytes());
                field.put(value.as_bytes());
            }
        }
        if let Some(seconds) = self.max_age {
            field.put(b"; Max-Age=");
            field.put_number(seconds);
        }
        for (there, name) in [(self.http_only, "; HttpOnly"), (self.secure, "; Secure")] {
            field.put(if there { name.as_bytes() } else { b"" });
        }
        field.put(match self.same_site {
            Some(SameSite::Strict) => b"; SameSite=Strict",
            Some(SameSite::Lax) => b"; SameSite=Lax",
            Some(SameSite::None) => b"; SameSite=None",
            None => b"",
        });
        field.length()
    }
}

/// Returns whether a byte can be sent unescaped in a cookie value (RFC 6265,
/// section 4.1.1).
const fn is_cookie_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%')
}

const fn is_attribute_value(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if byte.is_ascii_control() || *byte == b';' {
            return false;
        }
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::SetCookie;
    use crate::Request;
    use std::prelude::rust_2024::*;

    #[test]
    fn cookies_of_all_fields_are_seen_and_what_is_none_is_passed_over() {
        let request = Request::parse(
            b"GET / HTTP/1.1\r\ncookie: a=1;b = 2 ; none;; =4;a=5\r\nx: y\r\ncookie: c=\"6\"\r\n\r\n",
        )
        .unwrap();
        let found: Vec<_> = request.cookies().map(|(name, value)| (name, value.raw())).collect();
        let expected: [(&[u8], &[u8]); 5] =
            [(b"a", b"1"), (b"b", b"2"), (b"", b"4"), (b"a", b"5"), (b"c", b"\"6\"")];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_value_of_a_cookie_cannot_add_an_attribute() {
        let value = SetCookie::new("a", "b; Domain=c\r\nd: e").field_value();
        assert_eq!(value, b"a=b%3B%20Domain=c%0D%0Ad:%20e");
    }

    #[test]
    #[should_panic(expected = "no control bytes and no `;`")]
    fn a_path_cannot_either() {
        let _ = SetCookie::new("a", "b").path("/; Domain=c");
    }
}
