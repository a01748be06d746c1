//! Macro for types that have the same text form in flags, JSON and TOML.

/// Implements `TryFrom<String>` and `From<T> for String` with `FromStr` and `Display`, so that JSON
/// and TOML use the same text as flags.
macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<$name, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}

pub(crate) use as_text;
