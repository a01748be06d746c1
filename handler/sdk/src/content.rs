//! Types that can be the body of a response or the value of a field.

/// Bytes of a body or of a field value. They are borrowed from the request or from static data, or,
/// with the feature `alloc`, owned.
///
/// Owned bytes are leaked, because the host resets all memory after a request. In native tests,
/// they stay allocated.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the content of a response or of a field",
    label = "expected `&str` or bytes, or with the SDK's feature `alloc` also `String`, `Vec<u8>` or `Cow<str>`",
    note = "a piece of a request is decoded first: `piece.to_text()` with the feature `alloc`, or `piece.decode_into(&mut room)`"
)]
pub trait Content<'a> {
    /// Converts the value to bytes. Leaks an owned value.
    fn into_bytes(self) -> &'a [u8];
}

impl<'a> Content<'a> for &'a [u8] {
    fn into_bytes(self) -> &'a [u8] {
        self
    }
}

impl<'a, const N: usize> Content<'a> for &'a [u8; N] {
    fn into_bytes(self) -> &'a [u8] {
        self
    }
}

impl<'a> Content<'a> for &'a str {
    fn into_bytes(self) -> &'a [u8] {
        self.as_bytes()
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use super::Content;
    use alloc::borrow::Cow;
    use alloc::string::String;
    use alloc::vec::Vec;

    impl<'a> Content<'a> for Vec<u8> {
        fn into_bytes(self) -> &'a [u8] {
            self.leak()
        }
    }

    impl<'a> Content<'a> for String {
        fn into_bytes(self) -> &'a [u8] {
            self.leak().as_bytes()
        }
    }

    impl<'a> Content<'a> for Cow<'a, str> {
        fn into_bytes(self) -> &'a [u8] {
            match self {
                Cow::Borrowed(text) => text.as_bytes(),
                Cow::Owned(text) => text.into_bytes().leak(),
            }
        }
    }

    impl<'a> Content<'a> for &'a String {
        fn into_bytes(self) -> &'a [u8] {
            self.as_bytes()
        }
    }

    impl<'a> Content<'a> for &'a Vec<u8> {
        fn into_bytes(self) -> &'a [u8] {
            self
        }
    }
}
