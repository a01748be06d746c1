//! Assigns clients to the candidate of a rollout.
//!
//! Each client has a point in [0, 1), and gets the candidate if the point is below the share of the
//! candidate. Shares only rise, so a client that has the candidate keeps it. The point is the
//! SipHash-1-3 of the client's key. Each rollout hashes with a different salt, so the clients that
//! get a candidate first are not always the same ones.

use std::fmt;
use std::str::FromStr;

use host_http::quote::quoted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::rollout::as_text::as_text;
use crate::rollout::share::Share;

/// Maximum number of bytes of an invalid value that an error message quotes.
const QUOTED_MAX: usize = 100;

/// Function of one rollout that assigns a [`Point`] to each client.
///
/// Uses the hash of the crate `siphasher`, which never changes. The hash of the standard library
/// may change between releases, and then a restart with a newer host would assign the candidate to
/// other clients.
#[derive(Clone, Copy, Debug)]
pub struct Assignment(SipHasher13);

impl Assignment {
    /// Creates the assignment of a rollout. The salt must be random. When the rollout continues
    /// after a restart, the salt must be the same as before.
    pub fn new(salt: [u8; 16]) -> Assignment {
        Assignment(SipHasher13::new_with_key(&salt))
    }

    /// Returns the point of the client with the key that [`Key::of`] has returned. The limit on
    /// request heads also limits the length of the key.
    pub fn point(&self, key: &[u8]) -> Point {
        Point(self.0.hash(key))
    }
}

/// Number in [0, 1) that decides whether a client gets the candidate. The field is the number in
/// units of 2^-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(u64);

impl Point {
    /// Creates a point from a hash. The hash must be distributed like a random number.
    pub fn of_hash(hash: u64) -> Point {
        Point(hash)
    }

    /// Returns whether the point is below `share`. If so, the client with this point gets a
    /// candidate that has this share.
    pub fn is_within(self, share: Share) -> bool {
        share.includes(self.0)
    }
}

/// What tells clients apart in a rollout: `client` (the address), `cookie:NAME` or `header:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Key {
    /// Address of the client.
    #[default]
    Client,
    /// Value of the cookie with this name; the address of the client if a request has no such
    /// cookie.
    Cookie(Box<str>),
    /// Value of the header with this name, in small letters; the address of the client if a request
    /// has no such header.
    Header(Box<str>),
}

impl Key {
    /// Returns the key of the client that has sent a request with these header fields: the first
    /// value of the cookie or header, or the client's address if there is no value or an empty one.
    ///
    /// `address` must not have a port, because a client uses a different port for each connection.
    pub fn of<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        address: &'a [u8],
    ) -> &'a [u8] {
        let mut fields = fields.into_iter();
        let value = match self {
            Key::Client => None,
            Key::Cookie(wanted) => fields
                .filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"))
                .find_map(|(_, value)| cookie(value, wanted.as_bytes())),
            Key::Header(wanted) => fields
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
                .map(|(_, value)| value.trim_ascii()),
        };
        value.filter(|value| !value.is_empty()).unwrap_or(address)
    }
}

/// Returns the first value of the cookie `wanted` in a `cookie` header. Removes quotation marks
/// around the value, because not all clients preserve them (RFC 6265, section 4.1.1).
fn cookie<'a>(field: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (parts.next()?, parts.next()?);
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        (name == wanted).then_some(unquoted.unwrap_or(value))
    })
}

/// Returns whether a text is a valid name of a header or cookie: a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        match text.split_once(':') {
            None if text == "client" => Ok(Key::Client),
            Some(("cookie", name)) if is_token(name) => Ok(Key::Cookie(name.into())),
            Some(("header", name)) if is_token(name) => Ok(Key::Header(name.to_ascii_lowercase().into())),
            _ => {
                let found = quoted(text, QUOTED_MAX);
                Err(format!("expected client, cookie:NAME or header:NAME, found `{found}`"))
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Client => f.write_str("client"),
            Key::Cookie(name) => write!(f, "cookie:{name}"),
            Key::Header(name) => write!(f, "header:{name}"),
        }
    }
}

as_text!(Key);

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use super::{Assignment, Key, Point};
    use crate::rollout::share::{Share, Steps};
    use crate::rollout::xorshift::Xorshift;

    const CLIENTS: u32 = 10_000;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    /// Returns the addresses of [`CLIENTS`] clients in a few networks.
    fn clients() -> impl Iterator<Item = [u8; 4]> {
        (0..CLIENTS).map(|number| (0x0a00_0000 + number * 3).to_be_bytes())
    }

    #[test]
    fn a_client_that_has_the_candidate_keeps_it_as_the_share_rises() {
        let steps: Steps = "1%,10%,50%".parse().unwrap();
        for salt in 0..20 {
            let assignment = Assignment::new([salt; 16]);
            let mut had = vec![false; CLIENTS as usize];
            for step in 0..4 {
                let share = steps.share(step);
                let has: Vec<bool> =
                    clients().map(|client| assignment.point(&client).is_within(share)).collect();
                assert!(had.iter().zip(&has).all(|(had, has)| has >= had), "none flips back");
                let part = has.iter().filter(|has| **has).count() as f64 / f64::from(CLIENTS);
                assert!((part - share.fraction()).abs() < 0.015, "{part} of {share}");
                if salt == 0 {
                    assert!((part - share.fraction()).abs() < 0.01, "{part} of {share}");
                }
                had = has;
            }
            assert!(had.iter().all(|has| *has));
        }
    }

    /// Returns Pearson's chi-squared statistic for the independence of two assignments. Counts the
    /// clients in a table of 10 by 10 cells: the row is the first digit after the decimal point of
    /// the client's point in `one`, and the column that in `other`. The statistic has 81 degrees of
    /// freedom.
    fn chi_square(one: Assignment, other: Assignment) -> f64 {
        let tenth = |point: Point| ((u128::from(point.0) * 10) >> 64) as usize;
        let mut counts = [[0.0; 10]; 10];
        for client in clients() {
            counts[tenth(one.point(&client))][tenth(other.point(&client))] += 1.0;
        }
        let rows = counts.map(|row| row.iter().sum::<f64>());
        let columns: [f64; 10] = std::array::from_fn(|column| counts.iter().map(|row| row[column]).sum());
        let mut sum = 0.0;
        for (row, total) in rows.iter().enumerate() {
            for (column, other) in columns.iter().enumerate() {
                let expected = total * other / f64::from(CLIENTS);
                sum += (counts[row][column] - expected).powi(2) / expected;
            }
        }
        sum
    }

    #[test]
    fn two_salts_assign_clients_independently() {
        let salted = |last: u8| {
            let mut salt = [7; 16];
            salt[15] = last;
            Assignment::new(salt)
        };
        let statistics: Vec<f64> = (1..=20).map(|last| chi_square(salted(0), salted(last))).collect();
        // Of 20 values with 81 degrees of freedom, the largest is below 142.4 in 99.9 %.
        assert!(statistics.iter().all(|value| *value < 142.4), "{statistics:?}");
        let mean = statistics.iter().sum::<f64>() / 20.0;
        assert!((70.0..92.0).contains(&mean), "{mean}");
        assert!(chi_square(salted(0), salted(0)) > 50_000.0, "one salt is no other");
    }

    #[test]
    fn points_stay_where_they_are_in_later_releases() {
        let point = |salt, key: &[u8]| Assignment::new(salt).point(key).0;
        // The standard library has the same hash today.
        for key in [b"".as_slice(), b"a", b"192.0.2.1", &[0xff; 1000]] {
            let mut hasher = DefaultHasher::new();
            hasher.write(key);
            assert_eq!(point([0; 16], key), hasher.finish());
        }
        // The reference implementation, with the key 00 01 .. 0f: the first vectors.
        let salt = std::array::from_fn(|index| index as u8);
        assert_eq!(point(salt, b"").to_le_bytes(), [0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab]);
        assert_eq!(point(salt, &[0]).to_le_bytes(), [0x93, 0xca, 0x57, 0x7d, 0xf3, 0x9b, 0xf4, 0xc9]);
    }

    #[test]
    fn a_point_below_the_share_takes_the_candidate() {
        for (point, text, expected) in [
            (0, "0.001%", true),
            (u64::MAX / 100_000, "0.001%", true),
            (u64::MAX / 100_000 + 1, "0.001%", false),
            ((1 << 63) - 1, "50%", true),
            (1 << 63, "50%", false),
            (1 << 63, "50.001%", true),
            (u64::MAX, "99.999%", false),
            (u64::MAX, "100%", true),
        ] {
            assert_eq!(Point(point).is_within(share(text)), expected, "{point} at {text}");
        }
    }

    #[test]
    fn keys_are_parsed_and_written_back() {
        for (text, key, written) in [
            ("client", Key::Client, "client"),
            ("cookie:Session-ID", Key::Cookie("Session-ID".into()), "cookie:Session-ID"),
            ("header:X-User", Key::Header("x-user".into()), "header:x-user"),
        ] {
            assert_eq!(text.parse(), Ok(key.clone()));
            assert_eq!(key.to_string(), written);
        }
        for text in [
            "",
            "Client",
            "client:",
            "cookie",
            "cookie:",
            "cookie:a b",
            "cookie:a=b",
            "header:",
            "header:a:b",
            "header:\u{e9}",
            "ip:a",
        ] {
            let error = text.parse::<Key>().unwrap_err();
            assert_eq!(error, format!("expected client, cookie:NAME or header:NAME, found `{text}`"));
        }
        assert!("\x1b[31m".parse::<Key>().unwrap_err().ends_with("found `\\u{1b}[31m`"));
    }

    #[test]
    fn values_are_text_in_json() {
        assert_eq!(serde_json::to_string(&share("0.5%")).unwrap(), r#""0.5%""#);
        assert_eq!(serde_json::from_str::<Steps>(r#""1%,10%""#).unwrap().shares().len(), 2);
        assert_eq!(serde_json::from_str::<Key>(r#""header:A""#).unwrap(), Key::Header("a".into()));
        assert!(serde_json::from_str::<Share>(r#""0%""#).is_err());
        assert_eq!(schemars::schema_for!(Steps).get("type").unwrap(), "string");
    }

    #[test]
    fn the_key_is_the_first_value_or_else_the_address() {
        type Fields<'a> = &'a [(&'a str, &'a [u8])];
        let of = |key: &str, fields: Fields<'_>| {
            let fields = fields.iter().map(|(name, value)| (name.as_bytes(), *value));
            let key: Key = key.parse().unwrap();
            String::from_utf8_lossy(key.of(fields, b"addr")).into_owned()
        };
        let cases: [(&str, Fields<'_>, &str); 28] = [
            ("client", &[("cookie", b"a=1"), ("a", b"1")], "addr"),
            ("cookie:a", &[], "addr"),
            ("cookie:a", &[("cookie", b"a=1")], "1"),
            ("cookie:a", &[("Cookie", b"b=2; a=1")], "1"),
            ("cookie:a", &[("cookie", b"b=2;a=1;c=3")], "1"),
            ("cookie:a", &[("cookie", b"b=2"), ("x", b"a=3"), ("cookie", b"a=1")], "1"),
            ("cookie:a", &[("cookie", b"a=1; a=2"), ("cookie", b"a=3")], "1"),
            ("cookie:a", &[("cookie", b"a=; a=2")], "addr"),
            ("cookie:a", &[("cookie", b"a=\"1\"")], "1"),
            ("cookie:a", &[("cookie", b"a=\"\"")], "addr"),
            ("cookie:a", &[("cookie", b"a=\"")], "\""),
            ("cookie:a", &[("cookie", b"a=\"1")], "\"1"),
            ("cookie:a", &[("cookie", b"a==1=")], "=1="),
            ("cookie:a", &[("cookie", b"\ta = 1 \t;")], "1"),
            ("cookie:a", &[("cookie", b"A=1")], "addr"),
            ("cookie:a", &[("cookie", b"aa=1; ba=2")], "addr"),
            ("cookie:a", &[("cookie", b"a")], "addr"),
            ("cookie:a", &[("cookie", b"a; a=1")], "1"),
            ("cookie:a", &[("cookie", b"=a; ;;=;a=1")], "1"),
            ("cookie:a", &[("cookie", b"")], "addr"),
            ("cookie:a", &[("cookie", b"a=\xff\0")], "\u{fffd}\0"),
            ("cookie:a", &[("set-cookie", b"a=1"), ("a", b"1")], "addr"),
            ("header:A", &[("a", b"1")], "1"),
            ("header:a", &[("A", b" 1 "), ("a", b"2")], "1"),
            ("header:a", &[("a", b""), ("a", b"2")], "addr"),
            ("header:a", &[("a", b" \t")], "addr"),
            ("header:a", &[("ab", b"1"), ("", b"2")], "addr"),
            ("header:cookie", &[("cookie", b"a=1")], "a=1"),
        ];
        for (key, fields, expected) in cases {
            assert_eq!(of(key, fields), expected, "{key} {fields:?}");
        }
    }

    #[test]
    fn hostile_fields_give_some_key() {
        const BYTES: &[u8] = b"ab=;\"\" \t,\\\0\xff";
        let mut random = Xorshift::new(5);
        for _ in 0..50_000 {
            let bytes = |random: &mut Xorshift| -> Vec<u8> {
                (0..random.below(12)).map(|_| BYTES[random.below(BYTES.len())]).collect()
            };
            let values: Vec<Vec<u8>> = (0..random.below(4)).map(|_| bytes(&mut random)).collect();
            let fields = || values.iter().map(|value| (b"cookie".as_slice(), value.as_slice()));
            let key = Key::Cookie("a".into()).of(fields(), b"addr");
            let joined = values.join(&b';');
            // RFC 9113, section 8.2.3: several fields are one.
            assert_eq!(Key::Cookie("a".into()).of([(b"cookie".as_slice(), joined.as_slice())], b"addr"), key);
            assert!(!key.is_empty());
        }
        let long = [b"a=".as_slice(), &vec![b';'; 1 << 20], b"a=1"].concat();
        assert_eq!(Key::Cookie("a".into()).of([(b"cookie".as_slice(), long.as_slice())], b"addr"), b"addr");
    }
}
