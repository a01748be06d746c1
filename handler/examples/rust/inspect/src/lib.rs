//! Shows what a handler receives.
//!
//! * POST to any target returns the body of the request, with the content type of the request.
//! * `/echo` returns the head of the request as the module gets it.
//! * `/cookie` returns the cookies, one on each line.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::vec::Vec;
use handler_sdk::{Request, Response, Router, Status, export, get};

const ROUTES: Router = Router::new(&[get("/echo", echo), get("/cookie", cookie)]);

export!(answer);

/// Answers POST to any target with the body of the request, and other methods from the route table.
pub fn answer(request: Request<'_>) -> Response<'_> {
    if request.method() == "POST" { body(request) } else { ROUTES.answer(request) }
}

fn body(request: Request<'_>) -> Response<'_> {
    let kind = request.field("content-type").unwrap_or(b"application/octet-stream");
    // The host adds the length. With `nosniff`, a browser does not guess another type:
    // otherwise it might show the body as a page of this site.
    Response::new(Status::OK)
        .field("content-type", kind)
        .field("x-content-type-options", "nosniff")
        .body(request.body())
}

fn echo(request: Request<'_>) -> Response<'_> {
    let mut head = Vec::new();
    for piece in [request.method(), " ", request.target(), " HTTP/1.1\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in request.fields() {
        // A value may have bytes that are not UTF-8. They are sent unchanged.
        for piece in [name.as_bytes(), b": ", value, b"\n"] {
            head.extend_from_slice(piece);
        }
    }
    Response::text(Status::OK, head)
}

fn cookie(request: Request<'_>) -> Response<'_> {
    let mut lines = Vec::new();
    for (name, value) in request.cookies() {
        for piece in [name, b"=", value.raw(), b"\n"] {
            lines.extend_from_slice(piece);
        }
    }
    Response::text(Status::OK, lines)
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::vec::Vec;

    fn ask(request: &[u8]) -> Vec<u8> {
        let mut bytes = [0; 512];
        let length = respond(request, answer).encode(&mut bytes).unwrap();
        bytes[..length].to_vec()
    }

    #[test]
    fn a_body_comes_back_in_its_type() {
        let message =
            ask(b"POST /any?where HTTP/1.1\r\ncontent-type: a/b\r\ncontent-length: 3\r\n\r\n\x00\xff\n");
        assert!(message.starts_with(b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n"));
        assert!(message.ends_with(b"\r\n\r\n\x00\xff\n"));
    }

    #[test]
    fn the_head_is_shown_byte_for_byte() {
        let message = ask(b"GET /echo?a=%20 HTTP/1.1\r\nhost: h\r\nx: \xe4\r\n\r\n");
        assert!(message.ends_with(b"\r\n\r\nGET /echo?a=%20 HTTP/1.1\nhost: h\nx: \xe4\n"));
    }

    #[test]
    fn cookies_are_shown_one_a_line() {
        let message = ask(b"GET /cookie HTTP/1.1\r\ncookie: a=1; b=2\r\n\r\n");
        assert!(message.ends_with(b"\r\n\r\na=1\nb=2\n"));
    }
}
