//! Values that are the same text in flags, JSON and TOML.

/// Implements the conversions by which JSON and TOML have a value as the same text as flags.
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
