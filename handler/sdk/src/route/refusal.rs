//! Message of the compile error for a route that a table refuses. It is assembled from pieces,
//! because text cannot be formatted at compile time.

/// Maximum length of the text in bytes. A piece that does not fit is left out.
const LENGTH_MAX: usize = 1024;

/// Text of a compile error about a route, assembled from pieces.
pub(super) struct Refusal {
    text: [u8; LENGTH_MAX],
    length: usize,
}

impl Refusal {
    /// Creates the text from its first piece.
    pub(super) const fn new(piece: &str) -> Refusal {
        Refusal { text: [0; LENGTH_MAX], length: 0 }.and(piece)
    }

    /// Appends a piece.
    #[allow(clippy::indexing_slicing, reason = "compared with the length before")]
    pub(super) const fn and(mut self, piece: &str) -> Refusal {
        let piece = piece.as_bytes();
        if piece.len() <= LENGTH_MAX - self.length {
            let mut at = 0;
            while at < piece.len() {
                self.text[self.length + at] = piece[at];
                at += 1;
            }
            self.length += piece.len();
        }
        self
    }

    /// Panics with this text; in a `const`, a compile error.
    #[allow(clippy::panic, reason = "in a `const`, this is a compile error")]
    pub(super) const fn fail(&self) -> ! {
        let (text, _) = self.text.split_at(self.length);
        match core::str::from_utf8(text) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("a route cannot be matched"),
        }
    }
}
