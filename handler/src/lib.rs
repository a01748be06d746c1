//! The default handler, which is embedded in the server and serves if no other module is given.
//!
//! To add a route, add a line to `ROUTES` and write its action below.

#![no_std]

use handler_sdk::{Request, Response, Router, Status, export, get};

const ROUTES: Router = Router::new(&[get("/", index), get("/route", route)])
    .method_before_path()
    .not_found(not_found)
    .method_not_allowed(method_not_allowed);

export!(answer);

/// Answers a request by calling the action of the matching route.
pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn index(_: Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<h1> hello index</h1>")
}

fn route(_: Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<h1> hello route</h1>")
}

fn not_found(_: Request<'_>) -> Response<'static> {
    let status = const { Status::new(404, "page not found") };
    Response::html(status, "<h1>error 404 not found</h1>")
}

fn method_not_allowed(_: Request<'_>) -> Response<'static> {
    let status = const { Status::new(405, "method is not allowed") };
    Response::html(status, "<h1>error 405 method not allowed</h1>")
}
