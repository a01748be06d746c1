//! What can be a body or a field's value.

/// Bytes for a response: borrowed from the request or from the module's data,
/// and with the feature `alloc` owned ones too.
///
/// Owned bytes are kept to the end of the request, and then they are gone with
/// everything else, since every request starts from fresh state. So they need
/// not be given back, and are not; natively, in a test, they stay.
pub trait Content<'a> {
    /// The bytes.
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
