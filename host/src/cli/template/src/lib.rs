//! Routes of this handler: one line in the table for each route, and one function
//! for its response.

#![no_std]

use handler_sdk::prelude::*;

const ROUTES: Router = Router::new(&[get("/", index), get("/about", about)]);

// Exports the handler. Without this line, `#[panic_handler]` is missing for WebAssembly.
export!(answer);

/// Answers a request by the route table.
pub fn answer(request: Request) -> Response {
    ROUTES.answer(request)
}

fn index(_: Request) -> Response {
    Response::html(Status::OK, "<h1>it works</h1>")
}

fn about(_: Request) -> Response {
    Response::html(Status::OK, "<h1>about this handler</h1>")
}
