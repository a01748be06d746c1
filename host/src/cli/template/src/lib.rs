//! Routes of this handler: one line in the table for each route, and one function
//! for its response.

#![no_std]

use handler_sdk::{Request, Response, Router, Status, export, get};

const ROUTES: Router = Router::new(&[get("/", index), get("/about", about)]);

export!(answer);

/// Answers a request by the route table.
pub fn answer<'a>(request: &Request<'a>) -> Response<'a> {
    ROUTES.answer(request)
}

fn index(_: &Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<h1>it works</h1>")
}

fn about(_: &Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<h1>about {{name}}</h1>")
}
