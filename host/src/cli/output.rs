//! Output of the commands: prints texts, and escapes those of modules and files.

use std::io::{self, Write as _};

use host_http::quote::{Quoted, quoted};

/// Writes to standard output. Ignores errors, because a reader such as `head` may close the pipe
/// early.
pub(super) fn print(text: impl AsRef<[u8]>) {
    let _ = io::stdout().write_all(text.as_ref());
}

/// Escapes text from a module or a file, so that it fits on one line.
pub(super) fn one_line(text: &str) -> Quoted<'_> {
    quoted(text, usize::MAX)
}
