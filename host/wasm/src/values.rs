//! The values of a site: named texts that the operator passes to the module. Some of them are
//! secrets, which are masked in log lines and error messages.

use std::borrow::Cow;
use std::fmt;

use handler_sdk::abi::{VALUE_NAME_MAX, VALUES_MAX, is_value_name};
use host_http::quote::quoted;
use thiserror::Error;

/// Minimum length in bytes of a secret that is masked. A shorter one would occur in many texts by
/// chance.
pub const MASKED_MIN: usize = 4;

/// Maximum number of bytes of an invalid name that an error message shows.
const SHOWN_MAX: usize = 100;

/// Why values are refused. No message contains the text of a value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ValuesError {
    /// A name is empty, too long, or has characters that names may not have.
    #[error(
        "a value has the name `{name}`; expected a letter or `_`, and at most {} more letters, digits, `_`, `.` and `-`",
        VALUE_NAME_MAX - 1
    )]
    Name {
        /// The beginning of the name, quoted.
        name: String,
    },
    /// Two values have the same name.
    #[error("two values have the name `{name}`; expected one")]
    Twice {
        /// Name that both values have.
        name: String,
    },
    /// The text of a value has a zero byte, which would end the text.
    #[error("byte {position} of the value `{name}` is zero; expected text without zero bytes")]
    ZeroByte {
        /// The value's name.
        name: String,
        /// The position of the byte, from 1.
        position: usize,
    },
    /// All names and texts together are too long.
    #[error(
        "the values take {found} bytes with their names, of which `{longest}` takes {longest_bytes}; expected at most {VALUES_MAX}"
    )]
    TooLong {
        /// The encoded length of all values in bytes.
        found: usize,
        /// The name of the longest value.
        longest: String,
        /// The encoded length of the longest value in bytes.
        longest_bytes: usize,
    },
}

/// Named texts for a module. The texts of secrets are hidden from `Debug`.
#[derive(Default, PartialEq, Eq)]
pub struct Values {
    /// All values, sorted by name.
    all: Vec<Value>,
    encoded: Vec<u8>,
    /// The secrets that are masked: the first bytes of the text, and the index in `all`. Sorted by
    /// these bytes.
    masked: Vec<([u8; MASKED_MIN], usize)>,
}

#[derive(PartialEq, Eq)]
struct Value {
    name: String,
    text: String,
    is_secret: bool,
}

impl Value {
    /// Returns the length of the encoded value in bytes: name and text, each with a zero byte.
    fn encoded_len(&self) -> usize {
        self.name.len() + self.text.len() + 2
    }
}

impl Values {
    /// Checks values and sorts them by name. Each value is a name, a text, and whether the text is
    /// a secret.
    ///
    /// # Errors
    ///
    /// [`ValuesError`] says which value is wrong, and what was expected.
    pub fn new<N, T>(values: impl IntoIterator<Item = (N, T, bool)>) -> Result<Values, ValuesError>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let values = values.into_iter();
        let mut all: Vec<_> = values
            .map(|(name, text, is_secret)| Value { name: name.into(), text: text.into(), is_secret })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        for value in &all {
            let name = || value.name.clone();
            if !is_value_name(&value.name) {
                return Err(ValuesError::Name { name: quoted(&value.name, SHOWN_MAX).to_string() });
            }
            if let Some(position) = value.text.bytes().position(|byte| byte == 0) {
                return Err(ValuesError::ZeroByte { name: name(), position: position + 1 });
            }
        }
        if let Some(value) = all
            .iter()
            .zip(all.iter().skip(1))
            .find_map(|(value, next)| (value.name == next.name).then_some(value))
        {
            return Err(ValuesError::Twice { name: value.name.clone() });
        }
        let found = all.iter().map(Value::encoded_len).sum();
        if let Some(longest) = all.iter().max_by_key(|value| value.encoded_len())
            && found > VALUES_MAX
        {
            let (longest_bytes, longest) = (longest.encoded_len(), longest.name.clone());
            return Err(ValuesError::TooLong { found, longest, longest_bytes });
        }

        let mut encoded = Vec::with_capacity(found);
        let mut masked = Vec::new();
        for (place, Value { name, text, is_secret }) in all.iter().enumerate() {
            for part in [name, text] {
                encoded.extend_from_slice(part.as_bytes());
                encoded.push(0);
            }
            if let Some(start) = text.as_bytes().first_chunk().filter(|_| *is_secret) {
                masked.push((*start, place));
            }
        }
        masked.sort_unstable();
        Ok(Values { all, encoded, masked })
    }

    /// Returns the values as a module gets them: for each the name, a zero byte, the text, and
    /// a zero byte, sorted by name.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Returns the names and the texts, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|value| (&*value.name, &*value.text))
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns whether there is a secret of at least [`MASKED_MIN`] bytes, which is masked.
    pub fn has_secrets(&self) -> bool {
        !self.masked.is_empty()
    }

    /// Replaces each secret of at least [`MASKED_MIN`] bytes by `[secret NAME]`. Where two secrets
    /// overlap, both are replaced.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            // Secrets are UTF-8, so the rest of the text stays UTF-8.
            Cow::Owned(masked) => Cow::Owned(
                String::from_utf8(masked)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
            Cow::Borrowed(_) => Cow::Borrowed(text),
        }
    }

    /// Replaces each secret of at least [`MASKED_MIN`] bytes by `[secret NAME]`. Where two secrets
    /// overlap, both are replaced.
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.replace(bytes, usize::MAX, false)
    }

    /// Overwrites each secret of at least [`MASKED_MIN`] bytes with asterisks.
    pub fn blank(&self, bytes: &mut [u8]) {
        if !self.has_secrets() {
            return;
        }
        let found = (0..bytes.len()).filter_map(|at| {
            let (_, length) = self.secret_at(bytes.get(at..)?, false)?;
            Some(at..at + length)
        });
        for range in found.collect::<Vec<_>>() {
            bytes.get_mut(range).unwrap_or_default().fill(b'*');
        }
    }

    /// Returns the beginning of a text with secrets masked. The result has at least `most` bytes,
    /// unless the whole text gives fewer. If `bytes` ends with the beginning of a secret, that is
    /// masked too, because the text may have been cut.
    pub(super) fn mask_start<'a>(&self, bytes: &'a [u8], most: usize) -> Cow<'a, [u8]> {
        match self.replace(bytes, most, true) {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..most).unwrap_or(bytes)),
            masked => masked,
        }
    }

    fn replace<'a>(&self, bytes: &'a [u8], most: usize, may_be_cut: bool) -> Cow<'a, [u8]> {
        if !self.has_secrets() {
            return Cow::Borrowed(bytes);
        }
        let mut masked: Option<Vec<u8>> = None;
        // Bytes before `done` are copied or masked.
        let (mut done, mut at) = (0, 0);
        while at < bytes.len() {
            if masked.as_ref().map_or(0, Vec::len).saturating_add(at.saturating_sub(done)) >= most {
                break;
            }
            if let Some((secret, length)) = self.secret_at(bytes.get(at..).unwrap_or_default(), may_be_cut)
                && at + length > done
            {
                let masked = masked.get_or_insert_default();
                masked.extend_from_slice(bytes.get(done..at).unwrap_or_default());
                masked.extend_from_slice(format!("[secret {}]", secret.name).as_bytes());
                done = at + length;
            }
            at += 1;
        }
        match masked {
            None => Cow::Borrowed(bytes),
            Some(mut masked) => {
                masked.extend_from_slice(bytes.get(done..at).unwrap_or_default());
                Cow::Owned(masked)
            }
        }
    }

    /// Returns the longest secret with which `bytes` begins, and how many bytes of it were found.
    /// With `may_be_cut`, `bytes` may end before the secret does.
    fn secret_at(&self, bytes: &[u8], may_be_cut: bool) -> Option<(&Value, usize)> {
        let start = bytes.first_chunk::<MASKED_MIN>()?;
        let first = self.masked.partition_point(|(other, _)| other < start);
        let same = self.masked.iter().skip(first).take_while(|(other, _)| other == start);
        let secrets = same.filter_map(|(_, place)| self.all.get(*place));
        let found = secrets.filter_map(|secret| {
            let text = secret.text.as_bytes();
            let is_whole = bytes.starts_with(text);
            (is_whole || may_be_cut && text.starts_with(bytes)).then_some((
                secret,
                text.len().min(bytes.len()),
                is_whole,
            ))
        });
        let longest = found.max_by_key(|(_, length, is_whole)| (*length, *is_whole))?;
        Some((longest.0, longest.1))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| if value.is_secret { "[secret]".to_owned() } else { value.text.clone() };
        f.debug_map().entries(self.all.iter().map(|value| (&value.name, shown(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{MASKED_MIN, VALUE_NAME_MAX, VALUES_MAX, Values, ValuesError};

    fn values(values: &[(&str, &str, bool)]) -> Values {
        Values::new(values.iter().copied()).unwrap()
    }

    fn refused(values: &[(&str, &str, bool)]) -> String {
        Values::new(values.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn secrets_are_overwritten_where_they_stand() {
        let values =
            values(&[("A", "abcab", true), ("B", "cabX", true), ("C", "x", true), ("D", "plain", false)]);
        let mut bytes = *b"abcab plain x abcabX abca";
        values.blank(&mut bytes);
        assert_eq!(bytes.as_slice(), b"***** plain x ****** abca");
    }

    #[test]
    fn values_are_encoded_by_name() {
        let values = values(&[("b", "zwei\nÜ", false), ("_A.1-x", "one", true), ("a", "", false)]);
        assert_eq!(values.encoded(), "_A.1-x\0one\0a\0\0b\0zwei\nÜ\0".as_bytes());
        assert!(!values.is_empty());
        let none = Values::default();
        assert_eq!((none.encoded(), none.is_empty()), (&b""[..], true));
        assert_eq!(none, self::values(&[]));
        assert_ne!(self::values(&[("a", "text", true)]), self::values(&[("a", "text", false)]));
    }

    #[test]
    fn a_wrong_value_is_refused_without_its_text() {
        let long = "n".repeat(VALUE_NAME_MAX + 1);
        for name in ["", "1", "-a", ".a", "a b", "a=b", "ä", "a\0", &long] {
            let found = refused(&[("fine", "x", false), (name, "hunter2", true)]);
            assert!(found.contains("expected a letter or `_`, and at most 63 more letters"), "{found}");
            assert!(!found.contains("hunter2") && !found.contains('\0'), "{found}");
        }
        assert!(Values::new([(&long[1..], "x", false)]).is_ok());
        assert_eq!(
            refused(&[("a", "x", false), ("b", "", false), ("a", "hunter2", true)]),
            "two values have the name `a`; expected one"
        );
        assert_eq!(
            refused(&[("KEY", "hunter2\0x", true)]),
            "byte 8 of the value `KEY` is zero; expected text without zero bytes"
        );
    }

    #[test]
    fn all_values_together_have_a_limit() {
        let text = "x".repeat(VALUES_MAX - 6);
        assert_eq!(values(&[("a", "", false), ("b", &text, false)]).encoded().len(), VALUES_MAX);
        let error = Values::new([("a", "y", true), ("b", &text, true)]).unwrap_err();
        assert!(matches!(error, ValuesError::TooLong { found: 65_537, longest_bytes: 65_533, .. }));
        assert_eq!(
            error.to_string(),
            "the values take 65537 bytes with their names, of which `b` takes 65533; expected at most 65536"
        );
    }

    #[test]
    fn secrets_are_hidden_from_debug() {
        let shown =
            format!("{:?}", values(&[("A", "text", false), ("B", "hunter2", true), ("C", "x", true)]));
        assert_eq!(shown, r#"{"A": "text", "B": "[secret]", "C": "[secret]"}"#);
    }

    #[test]
    fn secrets_are_masked_and_other_values_are_not() {
        let values = values(&[
            ("KEY", "hunter2", true),
            ("LONG", "hunter2-and-more", true),
            ("SHORT", "abc", true),
            ("TEXT", "plain text", false),
            ("U", "schlüssel", true),
        ]);
        assert_eq!("abc".len(), MASKED_MIN - 1);
        for (text, expected) in [
            ("", ""),
            ("hunter", "hunter"),
            ("abc and plain text", "abc and plain text"),
            ("hunter2", "[secret KEY]"),
            ("hunter2hunter2-", "[secret KEY][secret KEY]-"),
            ("é hunter2-and-more!", "é [secret LONG]!"),
            ("hunthunter2-and-mor", "hunt[secret KEY]-and-mor"),
            ("der schlüssel ü", "der [secret U] ü"),
        ] {
            assert_eq!(values.mask(text), expected);
            assert_eq!(&*values.mask_bytes(text.as_bytes()), expected.as_bytes());
        }
        assert_eq!(&*values.mask_bytes(b"\xffhunter2\xff"), b"\xff[secret KEY]\xff");
        let text = String::from("nothing");
        assert!(matches!(values.mask(&text), std::borrow::Cow::Borrowed(_)));
    }

    #[test]
    fn overlapping_secrets_are_masked_whole() {
        let values = values(&[("A", "abcdef", true), ("B", "defghi", true), ("C", "bcde", true)]);
        assert_eq!(values.mask("-abcdefghi-"), "-[secret A][secret B]-");
        assert_eq!(values.mask("-bcdefghi-"), "-[secret C][secret B]-");
        let equal = self::values(&[("A", "same text", true), ("B", "same text", true)]);
        assert!(!equal.mask("the same text").contains("same"));
    }

    #[test]
    fn the_beginning_of_a_text_never_ends_in_a_part_of_a_secret() {
        let values = values(&[("K", "0123456789012345678901234567890123456789", true)]);
        let text = "012345678901234567890123456789012345678901234567890123456789".repeat(10);
        let text = format!("{text} then 0123456789012345678901234567890123456789 end 01234567");
        for most in 0..text.len() + 10 {
            let shown = values.mask_start(text.as_bytes(), most);
            let whole = values.mask_start(text.as_bytes(), usize::MAX);
            assert!(whole.starts_with(&shown) && shown.len() >= most.min(whole.len()), "{most}");
            assert!(!shown.windows(5).any(|part| part == b"01234"), "{most}");
        }
        let cut = |text: &'static str| {
            String::from_utf8(values.mask_start(text.as_bytes(), 100).into_owned()).unwrap()
        };
        assert_eq!(cut("ends in 012345"), "ends in [secret K]");
        assert_eq!(cut("ends in 012"), "ends in 012");
        assert_eq!(values.mask("ends in 012345"), "ends in 012345");
    }
}
