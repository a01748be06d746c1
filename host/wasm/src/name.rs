//! Formats function names for messages: demangled and bounded. A module chooses its
//! names, and a short mangled name can expand to a very long one.

use std::fmt::{self, Write};

use host_http::quote::quoted;

/// Maximum number of frames of a trap's backtrace that are logged. Frames further out are left out.
pub const FRAMES_MAX: usize = 8;

/// Maximum number of frames of Rust's runtime that are left out of a backtrace. A panic has about
/// ten.
pub(super) const RUNTIME_FRAMES_MAX: usize = 24;

/// Maximum length in bytes of the name of a function in the log. Generic code has longer names, but
/// their beginning says enough.
pub const FRAME_MAX: usize = 120;

/// Maximum length in bytes of a message of wasmtime in the log. A message may quote the module,
/// which chooses the length.
pub const MESSAGE_MAX: usize = 500;

/// Maximum length in bytes of a name that is demangled. Names of generic code rarely reach a
/// kilobyte.
const MANGLED_MAX: usize = 4096;

/// Returns a function's name, demangled, quoted, and cut to `max` bytes.
pub(super) fn readable(name: &str, max: usize) -> String {
    let mut text = Bounded { text: String::new(), left: max + 1 };
    // Writing stops with an error at the limit: a whole name may take megabytes.
    let _ = match name.len() <= MANGLED_MAX {
        true => write!(text, "{:#}", rustc_demangle::demangle(name)),
        false => text.write_str(name),
    };
    quoted(&text.text, max).to_string()
}

/// A string that takes `left` more bytes. Writing more fails.
struct Bounded {
    text: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (taken, rest) = text.split_at_checked(text.floor_char_boundary(self.left)).ok_or(fmt::Error)?;
        self.text.push_str(taken);
        self.left -= taken.len();
        if rest.is_empty() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::{MANGLED_MAX, readable};
    use std::time::{Duration, Instant};

    /// Returns a name in Rust's v0 mangling that expands exponentially: a tuple of
    /// tuples, each of which refers back to the previous one eight times.
    fn expanding() -> String {
        let base_62 = |mut number: usize| {
            let mut digits = Vec::new();
            while number > 0 {
                digits.push(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 62]);
                number /= 62;
            }
            digits.reverse();
            String::from_utf8(digits).unwrap() + "_"
        };
        // Offsets count from after `_R`. In base 62, `_` is 0 and `0_` is 1.
        let mut name = String::from("INvC1a1f");
        let mut last = name.len();
        name.push_str("TjjE");
        for _ in 0..60 {
            let reference = format!("B{}", base_62(last - 1));
            last = name.len();
            name.push_str(&format!("T{}E", reference.repeat(8)));
        }
        format!("_R{name}E")
    }

    #[test]
    fn a_name_is_demangled() {
        assert_eq!(readable("_ZN3one3two17h0123456789abcdefE", 100), "one::two");
        assert_eq!(readable("plain\n", 100), "plain\\n");
        assert_eq!(readable("_RNvC1a1f", 100), "a::f");
    }

    #[test]
    fn an_expanding_name_is_cut_while_it_is_demangled() {
        let name = expanding();
        assert!(name.len() < MANGLED_MAX, "{}", name.len());
        let shown = (0..3).map(|_| {
            let since = Instant::now();
            let shown = readable(&name, 120);
            (since.elapsed(), shown)
        });
        let (time, shown) = shown.min().unwrap();
        assert!(shown.starts_with("a::f::<(usize, usize), ((usize, usize), (usize"), "{shown}");
        assert!(shown.len() < 130 && shown.ends_with('…'), "{shown}");
        assert!(time < Duration::from_millis(10), "{time:?}");
    }

    #[test]
    fn a_very_long_name_is_not_demangled() {
        let name = format!("_RNvC1a{}", "é".repeat(MANGLED_MAX));
        let shown = readable(&name, 10);
        assert_eq!(shown, "_RNvC1aé…");
    }
}
