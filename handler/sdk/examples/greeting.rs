//! A handler that returns texts that the operator has set for its site; see [`values`].
//! `tests/sdk.rs` builds this example with and without the feature `alloc`.
//!
//! `cargo build --release --target wasm32-unknown-unknown -p handler-sdk --example greeting`

#![no_std]

use handler_sdk::{Request, Response, Router, State, Status, get, values};

/// Name that `/name` returns. Read from the values of the site once, when a version starts.
static NAME: State<&str> = State::new(|| values::get("NAME").unwrap_or("nobody"));

const ROUTES: Router =
    Router::new(&[get("/", greeting), get("/name", name), get("/last", last), get("/fail", fail)]);

handler_sdk::export!(answer, values, prepare = [NAME]);

fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn greeting(_: Request<'_>) -> Response<'_> {
    Response::text(Status::OK, values::get("GREETING").unwrap_or("hello"))
}

fn name(_: Request<'_>) -> Response<'_> {
    Response::text(Status::OK, *NAME.get())
}

/// Returns the text of the value whose name sorts last, or `none` if the site has no values.
fn last(_: Request<'_>) -> Response<'_> {
    Response::text(Status::OK, values::all().last().map_or("none", |(_, text)| text))
}

#[allow(clippy::panic, reason = "shows what a panic tells")]
fn fail(_: Request<'_>) -> Response<'_> {
    panic!("the key is {}", values::get("KEY").unwrap_or("missing"))
}
