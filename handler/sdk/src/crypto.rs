//! Signatures by HMAC-SHA256 (RFC 2104), with keys that can be replaced.

use core::str;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Request;
use crate::bytes::split_once;
use crate::cookie::SetCookie;
use crate::export::leak;
use crate::message::Message;

/// Maximum number of keys.
const KEYS_MAX: usize = 8;
/// Minimum length of a key in bytes.
const KEY_MIN: usize = 16;
/// Length of a signature in bytes.
const MAC: usize = 32;
/// Prefix of the message that is signed for a cookie, so that the signature of a cookie is not
/// valid for anything else that is signed with the same key.
const COOKIE: &[u8] = b"signed cookie 1\0";

/// Secret keys: the first one signs, and all of them verify. To replace a key, put the
/// new one before the old one, and remove the old one when its signatures have expired.
///
/// ```
/// use handler_sdk::{Request, Response, SigningKeys, Status};
///
/// const KEYS: SigningKeys<'_> =
///     SigningKeys::new(&[b"32 random bytes stand here......", b"the key that was used before...."]);
///
/// fn enter(request: Request<'_>) -> Response<'_> {
///     let session = KEYS.cookie(request, "session", "ada", 3600).path("/").http_only().secure();
///     Response::redirect("/").set_cookie(&session)
/// }
///
/// fn index(request: Request<'_>) -> Response<'_> {
///     match KEYS.read_cookie(request, "session") {
///         Some(user) => Response::text(Status::OK, user),
///         None => Response::new(Status::UNAUTHORIZED),
///     }
/// }
/// # let response = handler_sdk::respond(b"GET / HTTP/1.1\r\nx-request-time: 1000\r\n\r\n", enter);
/// # assert_eq!(response.status(), Status::SEE_OTHER);
/// # let response = handler_sdk::respond(b"GET / HTTP/1.1\r\nx-request-time: 1000\r\n\r\n", index);
/// # assert_eq!(response.status(), Status::UNAUTHORIZED);
/// ```
#[derive(Clone, Copy)]
pub struct SigningKeys<'k> {
    keys: &'k [&'k [u8]],
}

impl<'k> SigningKeys<'k> {
    /// Creates a set of keys. Use 32 random bytes for each key.
    ///
    /// # Panics
    ///
    /// Without a key, with more than 8 keys, or when a key has fewer than 16 bytes;
    /// in a `const`, a compile error.
    #[track_caller]
    pub const fn new(keys: &'k [&'k [u8]]) -> Self {
        assert!(!keys.is_empty() && keys.len() <= KEYS_MAX, "expected 1 to 8 keys");
        let mut rest = keys;
        while let [key, after @ ..] = rest {
            assert!(key.len() >= KEY_MIN, "a key has at least 16 bytes; 32 random bytes are best");
            rest = after;
        }
        SigningKeys { keys }
    }

    /// Signs a message, given in pieces, with the first key.
    pub fn sign(&self, message: &[&[u8]]) -> [u8; 32] {
        let key = self.keys.first().copied().unwrap_or_default();
        mac(key, message).finalize().into_bytes().into()
    }

    /// Returns whether `signature` is a signature of the message by one of the keys. The message is
    /// given in pieces. The time of the comparison does not depend on which bytes differ.
    pub fn verify(&self, message: &[&[u8]], signature: &[u8]) -> bool {
        self.keys.iter().any(|key| mac(key, message).verify_slice(signature).is_ok())
    }

    /// Returns whether `signature` is a signature of the message by one of the keys, in 64
    /// hexadecimal digits. The message is given in pieces.
    pub fn verify_hex(&self, message: &[&[u8]], signature: &[u8]) -> bool {
        read_hex(signature).is_some_and(|signature| self.verify(message, &signature))
    }

    /// Creates a signed cookie that is valid for this many seconds from the time of the request.
    /// Clients can read the value, but not change it.
    ///
    /// The signature covers name, value and time of expiry. Browsers drop cookies of more
    /// than 4096 bytes, of which signature and time take about 80.
    ///
    /// # Panics
    ///
    /// Under the same conditions as [`SetCookie::new`].
    pub fn cookie<'n>(
        &self,
        request: Request<'_>,
        name: &'n str,
        value: &str,
        seconds: u32,
    ) -> SetCookie<'n> {
        let expiry = request.time().map_or(0, |time| time.as_secs()).saturating_add(u64::from(seconds));
        let mut digits = [0; 20];
        let digits = decimal(expiry, &mut digits);
        let signature = self.sign(&[COOKIE, name.as_bytes(), b"\0", digits, b"\0", value.as_bytes()]);
        let room = leak(2 * MAC + 1 + digits.len() + 1 + value.len());
        let mut hex = [0; 2 * MAC];
        write_hex(&signature, &mut hex);
        let mut text = Message::new(room);
        for piece in [&hex[..], b".", digits, b".", value.as_bytes()] {
            text.put(piece);
        }
        // All pieces are UTF-8, so the conversion does not fail.
        SetCookie::new(name, str::from_utf8(room).unwrap_or_default()).max_age(seconds)
    }

    /// Returns the value of the first cookie with this name, a valid signature by one of the keys, and
    /// a time of expiry in the future. `None` if there is no such cookie, or the request does not state its time,
    /// because it did not come from a host.
    pub fn read_cookie<'a>(&self, request: Request<'a>, name: &str) -> Option<&'a str> {
        let now = request.time()?.as_secs();
        let named = request.cookies().filter(|(each, _)| *each == name.as_bytes());
        named.map(|(_, value)| value).find_map(|value| {
            let room = leak(value.raw().len());
            let length = value.decode_into(room)?.len();
            let text = room.get(..length)?;
            let (signature, rest) = split_once(text, b'.')?;
            let (digits, value) = split_once(rest, b'.')?;
            let message = [COOKIE, name.as_bytes(), b"\0", digits, b"\0", value];
            let expiry: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
            (self.verify_hex(&message, signature) && now < expiry).then_some(())?;
            str::from_utf8(value).ok()
        })
    }
}

fn mac(key: &[u8], message: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"));
    message.iter().for_each(|piece| mac.update(piece));
    mac
}

/// Writes two hexadecimal digits into `room` for each byte. Leaves out bytes that do not fit.
pub(crate) fn write_hex(bytes: &[u8], room: &mut [u8]) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for (pair, byte) in room.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

/// Parses exactly 64 hexadecimal digits; `None` for any other text.
fn read_hex(text: &[u8]) -> Option<[u8; MAC]> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; MAC] = pairs.try_into().ok()?;
    let mut bytes = [0; MAC];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Writes a number in decimal digits to the end of `room`, and returns the digits.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    for place in room.iter_mut().rev() {
        (*place, number) = (b'0' + (number % 10) as u8, number / 10);
        start -= 1;
        if number == 0 {
            break;
        }
    }
    room.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::prelude::rust_2024::*;
    use std::{format, string::String, vec};

    use super::{SigningKeys, write_hex};
    use crate::{Request, Response, Status};

    const OLD: &[u8] = b"an old key of 32 bytes, not used";
    const NEW: &[u8] = b"a new key of 32 bytes, in use...";

    fn request(cookie: &str, seconds: u64) -> String {
        format!("GET / HTTP/1.1\r\ncookie: {cookie}\r\nx-request-time: {seconds}000\r\n\r\n")
    }

    /// Returns a signed cookie as a client sends it back.
    fn signed(keys: SigningKeys<'_>, name: &str, value: &str, at: u64) -> String {
        let bytes = request("", at);
        let request = Request::parse(bytes.as_bytes()).unwrap();
        let cookie = keys.cookie(request, name, value, 60);
        let response = Response::new(Status::OK).set_cookie(&cookie);
        let mut room = vec![0; response.encoded_len()];
        response.encode(&mut room).unwrap();
        let text = String::from_utf8(room).unwrap();
        let (_, field) = text.split_once("set-cookie: ").unwrap();
        field.split_once(';').unwrap().0.to_owned()
    }

    fn read(keys: SigningKeys<'_>, cookie: &str, name: &str, at: u64) -> Option<String> {
        let bytes = request(cookie, at);
        keys.read_cookie(Request::parse(bytes.as_bytes()).unwrap(), name).map(Into::into)
    }

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        // Test case 2, whose key is too short for `new`.
        let keys = SigningKeys { keys: &[b"Jefe"] };
        let mut hex = [0; 64];
        write_hex(&keys.sign(&[b"what do ya want ", b"for nothing?"]), &mut hex);
        assert_eq!(&hex, b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(keys.verify_hex(&[b"what do ya want for nothing?"], &hex.to_ascii_uppercase()));
    }

    #[test]
    fn a_cookie_is_read_as_it_was_signed() {
        let keys = SigningKeys::new(&[NEW]);
        for value in ["ada", "", "a.b.c", "a b; c=\"d\"", "ä%", "\0\r\n"] {
            let cookie = signed(keys, "session", value, 1000);
            assert_eq!(read(keys, &cookie, "session", 1059).as_deref(), Some(value), "{cookie}");
            let forged = format!("session=x; {cookie}; session=y");
            assert_eq!(read(keys, &forged, "session", 1000).as_deref(), Some(value));
        }
    }

    #[test]
    fn every_key_verifies_and_the_first_one_signs() {
        let (old, both, new) =
            (SigningKeys::new(&[OLD]), SigningKeys::new(&[NEW, OLD]), SigningKeys::new(&[NEW]));
        let by_old = signed(old, "a", "b", 0);
        let by_both = signed(both, "a", "b", 0);
        for (name, keys, cookie, is_valid) in [
            ("old by both", both, &by_old, true),
            ("new by both", both, &by_both, true),
            ("new by new", new, &by_both, true),
            ("old by new", new, &by_old, false),
            ("new by old", old, &by_both, false),
        ] {
            assert_eq!(read(keys, cookie, "a", 0).is_some(), is_valid, "{name}");
        }
    }

    #[test]
    fn a_cookie_that_was_changed_moved_or_kept_too_long_is_none() {
        let keys = SigningKeys::new(&[NEW]);
        let cookie = signed(keys, "user", "ada", 1000);
        assert!(read(keys, &cookie, "user", 1059).is_some());
        assert_eq!(read(keys, &cookie, "user", 1060), None, "expired");
        assert_eq!(read(keys, &cookie.replace("user", "root"), "root", 1000), None, "of another name");
        assert_eq!(read(keys, &cookie.replace(".1060.", ".9999."), "user", 1000), None, "prolonged");
        let bytes = cookie.replace("user", "a");
        let no_time = format!("GET / HTTP/1.1\r\ncookie: {bytes}\r\n\r\n");
        assert_eq!(keys.read_cookie(Request::parse(no_time.as_bytes()).unwrap(), "a"), None);
        // Any other byte in the place of each one.
        for place in "user=".len()..cookie.len() {
            for byte in ["0", "f", ".", "%", "x"] {
                let mut changed = cookie.clone();
                changed.replace_range(place..=place, byte);
                assert!(changed == cookie || read(keys, &changed, "user", 1000).is_none(), "{changed}");
            }
        }
        for length in 0..cookie.len() {
            assert_eq!(read(keys, &cookie[..length], "user", 1000), None, "{length} bytes");
        }
    }

    #[test]
    #[should_panic(expected = "at least 16 bytes")]
    fn a_short_key_is_refused() {
        let _ = SigningKeys::new(&[b"secret"]);
    }
}
