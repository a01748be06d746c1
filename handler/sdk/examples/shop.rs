//! A handler that uses many parts of the SDK: routes with parameters, state that is computed at the
//! start, JSON in requests and responses, a form, a cookie, and log lines.
//!
//! `cargo build --release --target wasm32-unknown-unknown -p handler-sdk --example shop --features json`

#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use handler_sdk::{
    Level, Request, Response, Router, SameSite, SetCookie, State, Status, export, get, log, post,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Article<'a> {
    number: u32,
    name: &'a str,
    cents: u64,
}

const ROUTES: Router = Router::new(&[
    get("/articles", list),
    get("/articles/{number}", show),
    post("/total", total),
    post("/session", enter),
    get("/words/{count}", words),
]);

/// Articles by their numbers. Computed once, when a version of the module starts.
static ARTICLES: State<BTreeMap<u32, Article<'static>>> = State::new(|| {
    log!(Level::Info, "the shop opens");
    let named = ["bread", "butter", "jam"].into_iter().zip(1u32..);
    named.map(|(name, number)| (number, Article { number, name, cents: 100 + u64::from(number) })).collect()
});

export!(answer, prepare = [ARTICLES]);

/// Answers a request by calling the action of the matching route.
pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn list(request: Request<'_>) -> Response<'_> {
    let articles = ARTICLES.get().values();
    match request.accepts(&["application/json", "text/html"]) {
        Some("text/html") => {
            let rows: String = articles.map(|article| format!("<li>{}</li>", article.name)).collect();
            Response::html(Status::OK, format!("<ul>{rows}</ul>"))
        }
        Some(_) => Response::json(Status::OK, &articles.collect::<Vec<_>>()),
        None => Response::new(Status::NOT_ACCEPTABLE),
    }
}

fn show(request: Request<'_>) -> Response<'_> {
    let number = request.param("number").and_then(|number| number.parse());
    match number.and_then(|number: u32| ARTICLES.get().get(&number)) {
        Some(article) => Response::json(Status::OK, article),
        None => Response::text(Status::NOT_FOUND, "no such article"),
    }
}

/// Answers with the total price of the articles in the JSON body of the request.
fn total(request: Request<'_>) -> Response<'_> {
    match request.json::<Vec<Article<'_>>>() {
        Ok(articles) => {
            let cents: u64 = articles.iter().map(|article| article.cents).sum();
            log!(Level::Debug, "{} articles for {cents}", articles.len());
            Response::json(Status::OK, &BTreeMap::from([("cents", cents)]))
        }
        Err(error) => Response::text(Status::BAD_REQUEST, error.to_string()),
    }
}

fn enter(request: Request<'_>) -> Response<'_> {
    let Some(name) = request.form().value("name").and_then(|name| name.to_text()) else {
        return Response::text(Status::UNPROCESSABLE_CONTENT, "a name is needed");
    };
    let cookie = SetCookie::new("name", &name).path("/").max_age(3600).http_only().same_site(SameSite::Lax);
    Response::redirect("/articles").set_cookie(&cookie)
}

/// Appends words to a string while other strings are allocated and freed, which exercises the
/// allocator. Answers with the string.
fn words(request: Request<'_>) -> Response<'_> {
    let count = request.param("count").and_then(|count| count.parse()).unwrap_or(0);
    let mut text = String::new();
    let mut kept = Vec::new();
    for number in 0..count {
        text.push_str(&format!("{number} "));
        if number % 100 == 0 {
            kept.push(text.clone());
        }
    }
    kept.retain(|part| text.starts_with(part));
    Response::text(Status::OK, format!("{} {}", kept.len(), text))
}
