//! The two kinds of handlers, as the head of a file tells them apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A module that gets the bytes of a request, and returns those of the response.
    #[default]
    Module,
    /// A component that exports `wasi:http/incoming-handler`.
    Component,
}

impl Kind {
    /// Returns the kind of a binary. After the magic number come a version and a layer of 16
    /// bits each; layer 1 is that of components.
    pub(super) fn of(binary: &[u8]) -> Kind {
        match binary.get(6) {
            Some(1) => Kind::Component,
            _ => Kind::Module,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Module => "module",
            Kind::Component => "wasi:http component",
        })
    }
}
