//! A static site from the folder `public`, with one route that is not a file.

#![no_std]

#[cfg(test)]
extern crate std;

use handler_sdk::{Request, Response, Router, Site, Status, export, get, site};

static SITE: Site = site!().cache_control("max-age=300");

const ROUTES: Router = Router::new(&[get("/health", health)]).not_found(page).method_not_allowed(page);

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn health(_: Request<'_>) -> Response<'static> {
    Response::text(Status::OK, "well\n")
}

/// Answers a request from the static site if no route takes the request.
fn page(request: Request<'_>) -> Response<'_> {
    SITE.answer(request)
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::string::String;
    use std::{format, vec};

    fn ask(target: &str, fields: &str) -> (u16, String) {
        let request = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        let response = respond(request.as_bytes(), answer);
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        (response.status().code(), String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_page_is_sent_once_and_then_confirmed() {
        let (code, first) = ask("/", "");
        assert!(code == 200 && first.contains("content-type: text/html; charset=utf-8\r\n"), "{first}");
        let (_, rest) = first.split_once("etag: ").unwrap();
        let (etag, _) = rest.split_once("\r\n").unwrap();
        assert_eq!(ask("/", &format!("if-none-match: {etag}\r\n")).0, 304);
    }

    #[test]
    fn folders_files_and_what_is_not_there() {
        for (target, status, holds) in [
            ("/docs/", 200, "<h1>Documents</h1>"),
            ("/docs", 308, "location: /docs/\r\n"),
            ("/style.css", 200, "vary: accept-encoding\r\n"),
            ("/health", 200, "well\n"),
            ("/nope", 404, "<h1>There is no such page</h1>"),
            ("/../Cargo.toml", 404, "<h1>There is no such page</h1>"),
        ] {
            let (code, text) = ask(target, "");
            assert!(code == status && text.contains(holds), "{target}: {text}");
        }
        assert!(ask("/style.css", "accept-encoding: gzip\r\n").1.contains("content-encoding: gzip\r\n"));
        assert!(ask("/", "range: bytes=0-14\r\n").1.ends_with("\r\n\r\n<!DOCTYPE html>"));
    }
}
