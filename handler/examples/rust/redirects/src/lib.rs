//! Handler with a table of 10,000 redirects. The table is built once, when a version of the module
//! starts, and not for each request.
//!
//! For example, `/p/17`, the old path of an article, is redirected to `/articles/green-rug-17`.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use handler_sdk::{Request, Response, Router, State, Status, export, get};

struct Redirects(BTreeMap<String, String>);

impl Redirects {
    /// Creates the table with made-up entries. A real table would come from a file, by
    /// `include_str!`.
    fn new() -> Redirects {
        const COLOURS: [&str; 4] = ["red", "green", "blue", "grey"];
        const THINGS: [&str; 5] = ["chair", "table", "lamp", "shelf", "rug"];
        let things = THINGS.iter().flat_map(|thing| COLOURS.map(|colour| (colour, thing)));
        let entries = (0..10_000).zip(things.cycle());
        Redirects(
            entries
                .map(|(number, (colour, thing))| {
                    (format!("/p/{number}"), format!("/articles/{colour}-{thing}-{number}"))
                })
                .collect(),
        )
    }

    fn find(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

static REDIRECTS: State<Redirects> = State::new(Redirects::new);

const ROUTES: Router = Router::new(&[get("/", index)]).not_found(moved);

export!(answer, prepare = [REDIRECTS]);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn index(_: Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<h1>articles</h1>")
}

/// Answers a path without a route: with a redirect if the table has the path, and otherwise with
/// 404.
fn moved(request: Request<'_>) -> Response<'_> {
    match REDIRECTS.get().find(request.path()) {
        Some(place) => Response::new(Status::PERMANENT_REDIRECT).field("location", place),
        None => Response::html(Status::NOT_FOUND, "<h1>error 404 not found</h1>"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Redirects, answer};
    use handler_sdk::respond;

    #[test]
    fn each_entry_leads_to_a_place_of_its_own() {
        let Redirects(entries) = Redirects::new();
        assert_eq!(entries.len(), 10_000);
        let places: std::collections::BTreeSet<_> = entries.values().collect();
        assert_eq!(places.len(), 10_000);
    }

    #[test]
    fn a_path_is_found_whole_or_not_at_all() {
        let code = |request: &[u8]| respond(request, answer).status().code();
        assert_eq!(code(b"GET /p/9999 HTTP/1.1\r\n\r\n"), 308);
        assert_eq!(code(b"GET /p/17?from=mail HTTP/1.1\r\n\r\n"), 308);
        assert_eq!(code(b"GET /p/10000 HTTP/1.1\r\n\r\n"), 404);
        assert_eq!(code(b"GET /p/ HTTP/1.1\r\n\r\n"), 404);
    }
}
