//! The names that most handlers use: `use handler_sdk::prelude::*;`
//!
//! With the feature `alloc`, they include `format!`, `vec!`, `String`, `Vec`, `Box`,
//! `Cow`, `ToString` and `ToOwned` of the `alloc` crate. Without it, `format!`,
//! `vec!`, `String` and `Vec` only give a compile error that names the feature.
//!
//! ```
//! use handler_sdk::prelude::*;
//!
//! const ROUTES: Router = Router::new(&[get("/", index)]);
//!
//! fn index(_: Request) -> Response {
//!     Response::html(Status::OK, "<h1>hello</h1>")
//! }
//! # let _ = ROUTES;
//! ```

pub use crate::{
    Level, Request, Response, Router, SetCookie, State, Status, delete, export, get, log, patch, post, put,
};

#[cfg(all(feature = "alloc", not(feature = "std")))]
pub use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

#[cfg(not(feature = "alloc"))]
pub use crate::{__format_without_alloc as format, __vec_without_alloc as vec};
#[cfg(not(feature = "alloc"))]
#[allow(deprecated, reason = "the deprecation names the feature where a handler uses the type")]
pub use missing::{String, Vec};

/// Stand-ins for types that need a heap, so that the compiler's error names the feature `alloc`.
#[cfg(not(feature = "alloc"))]
mod missing {
    use core::marker::PhantomData;

    /// Stands for `String` and `Vec`. The compiler's errors show this name.
    #[derive(Debug)]
    pub struct TurnOnTheFeatureAllocOfHandlerSdk<T = u8>(PhantomData<T>);

    /// `String` needs the feature `alloc`.
    #[doc(hidden)]
    #[deprecated = "`String` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path = \"handler-sdk\", features = [\"alloc\"] }"]
    pub type String = TurnOnTheFeatureAllocOfHandlerSdk;

    /// `Vec` needs the feature `alloc`.
    #[doc(hidden)]
    #[deprecated = "`Vec` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path = \"handler-sdk\", features = [\"alloc\"] }"]
    pub type Vec<T> = TurnOnTheFeatureAllocOfHandlerSdk<T>;
}

/// Fails to compile, with an error that names the feature that `format!` needs.
#[cfg(not(feature = "alloc"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __format_without_alloc {
    ($($anything:tt)*) => {
        ::core::compile_error!(
            "`format!` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path = \"handler-sdk\", features = [\"alloc\"] }"
        )
    };
}

/// Fails to compile, with an error that names the feature that `vec!` needs.
#[cfg(not(feature = "alloc"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __vec_without_alloc {
    ($($anything:tt)*) => {
        ::core::compile_error!(
            "`vec!` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path = \"handler-sdk\", features = [\"alloc\"] }"
        )
    };
}
