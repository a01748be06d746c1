//! What messages call a function: its name as people wrote it, within bounds. A
//! module chooses its names itself, and short ones may stand for very long ones.

use std::fmt::{self, Write};

use crate::quote::quoted;

/// The longest name that is taken apart, in bytes. Compilers make names of a
/// kilobyte for generic code, rarely.
const MANGLED_MAX: usize = 4096;

/// The name of a function, of which at most `max` bytes are shown.
pub(super) fn readable(name: &str, max: usize) -> String {
    let mut text = Bounded { text: String::new(), left: max + 1 };
    // The rest is for nothing, and may be megabytes.
    let _ = match name.len() <= MANGLED_MAX {
        true => write!(text, "{:#}", rustc_demangle::demangle(name)),
        false => text.write_str(name),
    };
    quoted(&text.text, max).to_string()
}

/// The beginning of what is written, up to some length in bytes. Past it writing
/// fails.
pub(super) struct Bounded {
    pub(super) text: String,
    pub(super) left: usize,
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

    /// A name in Rust's newer mangling: a tuple of tuples, each of which refers
    /// back to the one before, some times over.
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
        // What follows `_R` is counted from 0, and digits from 1.
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
    fn a_name_is_shown_as_it_was_written() {
        assert_eq!(readable("_ZN3one3two17h0123456789abcdefE", 100), "one::two");
        assert_eq!(readable("plain\n", 100), "plain\\n");
        assert_eq!(readable("_RNvC1a1f", 100), "a::f");
    }

    #[test]
    fn a_name_that_expands_is_cut_while_it_is_written() {
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
    fn a_long_name_is_cut_before_it_is_looked_at() {
        let name = format!("_RNvC1a{}", "é".repeat(MANGLED_MAX));
        let shown = readable(&name, 10);
        assert_eq!(shown, "_RNvC1aé…");
    }
}
