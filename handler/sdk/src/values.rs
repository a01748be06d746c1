//! The values of a site: named texts that its operator gives to the module. So one module can serve
//! several sites, with a different greeting, address or key in each.
//!
//! A module asks for its values with the word `values` in [`export!`](crate::export!):
//!
//! ```
//! use handler_sdk::prelude::*;
//! use handler_sdk::{test::Client, values};
//!
//! export!(answer, values);
//!
//! fn answer(_: Request) -> Response {
//!     Response::text(Status::OK, values::get("GREETING").unwrap_or("hello"))
//! }
//!
//! # fn main() {
//! // A test gives the values to its client:
//! let client = Client::new(answer);
//! assert_eq!(client.get("/").text(), "hello");
//! assert_eq!(client.with_values(&[("GREETING", "salut")]).get("/").text(), "salut");
//! # }
//! ```
//!
//! Values are the same for all requests of a version. They need no allocator, and are not copied:
//! the module reads them where the host has written them.

#[cfg(not(target_arch = "wasm32"))]
use crate::native::values as encoded;
use core::iter;
#[cfg(target_arch = "wasm32")]
use wasm::encoded;

/// Returns the text of the value with this name, if the operator has given one.
///
/// # Panics
///
/// In a module without the word `values` in [`export!`](crate::export!), and in `_initialize`,
/// which runs before the host gives the values.
pub fn get(name: &str) -> Option<&'static str> {
    all().find(|(own, _)| *own == name).map(|(_, text)| text)
}

/// Returns the names and texts of all values, sorted by name.
///
/// # Panics
///
/// In a module without the word `values` in [`export!`](crate::export!), and in `_initialize`,
/// which runs before the host gives the values.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = encoded().split_terminator('\0');
    iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

/// Defines the export `configure`, which takes the values and then prepares the listed states.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_values {
    ($($state:path),*) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn configure(address: u32, length: u32) {
                // SAFETY: by the contract, the host passes a span that `alloc` returned and
                // that the host has filled.
                unsafe { $crate::values::configure($crate::abi::Span { address, length }) };
                $( $crate::State::get(&$state); )*
            }
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || { $( $crate::State::get(&$state); )* };
    };
}

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use wasm::configure;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the contract hands over an address, and Rust wants a slice")]
#[allow(clippy::panic, reason = "a panic is how a module ends what it cannot do")]
mod wasm {
    use crate::abi::Span;
    use core::cell::OnceCell;
    use core::{slice, str};

    /// The encoded values; empty until the host has given them.
    struct Encoded(OnceCell<&'static str>);

    // SAFETY: a module of this contract has one thread and no interrupts.
    unsafe impl Sync for Encoded {}

    static ENCODED: Encoded = Encoded(OnceCell::new());

    /// Implements the export `configure`: stores a reference to the values. They are not copied,
    /// because `alloc` never returns the same addresses again.
    ///
    /// # Safety
    ///
    /// `values` must be a span that `alloc` has returned and that the host has filled. It must be
    /// passed only once.
    pub unsafe fn configure(values: Span) {
        // SAFETY: the caller guarantees that the bytes are filled, and that nothing else uses them.
        // A slice must not begin at address 0, which a host may pass for no values.
        let bytes = match values.length {
            0 => &[],
            length => unsafe { slice::from_raw_parts(values.address as *const u8, length as usize) },
        };
        match str::from_utf8(bytes) {
            // The host gives values only once, so none are there yet.
            Ok(text) => _ = ENCODED.0.set(text),
            Err(_) => panic!("the values of the site are not UTF-8"),
        }
    }

    pub(super) fn encoded() -> &'static str {
        match ENCODED.0.get() {
            Some(encoded) => encoded,
            None => panic!("there are no values: write `values` in `export!(answer, values)`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{all, get};
    use crate::test::Client;
    use crate::{Request, Response, Status};
    use std::borrow::ToOwned as _;
    use std::format;
    use std::string::String;

    fn list(_: Request<'_>) -> Response<'_> {
        let all: String = all().map(|(name, text)| format!("{name}={text};")).collect();
        Response::text(Status::OK, std::boxed::Box::leak(all.into_boxed_str()).as_bytes())
    }

    #[test]
    fn a_client_has_values_of_its_own() {
        let client = Client::new(list);
        let other = client.with_values(&[("b", "2"), ("a", ""), ("_C.c-1", "wörld")]);
        assert_eq!(client.get("/").text(), "");
        assert_eq!(other.get("/").text(), "_C.c-1=wörld;a=;b=2;");
        assert_eq!(client.get("/").text(), "");
        assert_eq!(other.with_values(&[]).get("/").text(), "");
        assert_eq!(get("a"), None);
    }

    fn ask(request: Request<'_>) -> Response<'_> {
        match request.query().and_then(get) {
            Some(text) => Response::text(Status::OK, text),
            None => Response::new(Status::NOT_FOUND),
        }
    }

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let client = Client::new(ask).with_values(&[("AB", "two"), ("ABC", "AB"), ("EMPTY", "")]);
        let found = |name: &str| {
            let reply = client.get(&format!("/?{name}"));
            (reply.status() == 200).then(|| reply.text().to_owned())
        };
        assert_eq!(found("AB").as_deref(), Some("two"));
        assert_eq!(found("ABC").as_deref(), Some("AB"));
        assert_eq!(found("EMPTY").as_deref(), Some(""));
        assert_eq!([found("A"), found("two"), found("ABCD"), found("")], [None, None, None, None]);
    }

    #[test]
    #[should_panic = "`A B` is no name of a value"]
    fn a_client_refuses_names_that_the_host_refuses() {
        let _ = Client::new(ask).with_values(&[("A B", "text")]);
    }

    #[test]
    fn a_handler_that_panics_leaves_no_values_behind() {
        let panics = Client::new(|_| std::panic!("{}", all().count())).with_values(&[("A", "1")]);
        assert!(std::panic::catch_unwind(|| panics.get("/")).is_err());
        assert_eq!(all().count(), 0);
    }
}
