//! A JSON API: `GET /items`, `GET /items/{id}`, and `POST /items`, which checks an item
//! and returns it. Nothing is stored, because a handler has no storage.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use handler_sdk::{Request, Response, Router, Status, export, get, post};
use serde::{Deserialize, Serialize};

const ROUTES: Router = Router::new(&[get("/items", list), get("/items/{id}", one), post("/items", add)])
    .not_found(|_| problem(Status::NOT_FOUND, "there is no such path"))
    .method_not_allowed(|_| problem(Status::METHOD_NOT_ALLOWED, "the method is not allowed here"));

/// Name of each item, and its price in cents. The id of an item is its index.
const ITEMS: &[(&str, u32)] = &[("pencil", 120), ("paper", 450), ("eraser", 80)];

/// An item, in requests and in responses. A request whose item has an unknown member is refused,
/// because the member is most likely a mistake.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(skip_deserializing)]
    id: usize,
    #[serde(borrow)]
    name: Cow<'a, str>,
    cents: u32,
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

/// Name of a member of an item, and what is wrong with its value.
#[derive(Serialize)]
struct Wrong {
    member: &'static str,
    error: &'static str,
}

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn items() -> impl Iterator<Item = Item<'static>> {
    ITEMS.iter().enumerate().map(|(id, (name, cents))| Item { id, name: Cow::Borrowed(*name), cents: *cents })
}

fn list(_: Request<'_>) -> Response<'static> {
    Response::json(Status::OK, &items().collect::<Vec<_>>())
}

fn one(request: Request<'_>) -> Response<'static> {
    let id = request.param("id").and_then(|id| id.parse::<usize>());
    match id.and_then(|id| items().nth(id)) {
        Some(item) => Response::json(Status::OK, &item),
        None => problem(Status::NOT_FOUND, "there is no such item"),
    }
}

fn add(request: Request<'_>) -> Response<'static> {
    let mut item: Item<'_> = match request.json() {
        Ok(item) => item,
        Err(error) => return Response::json(Status::BAD_REQUEST, &Problem { error: &format!("{error}") }),
    };
    let mut wrong = Vec::new();
    if !(1..=100).contains(&item.name.chars().count()) {
        wrong.push(Wrong { member: "name", error: "expected 1 to 100 letters" });
    }
    if item.cents == 0 {
        wrong.push(Wrong { member: "cents", error: "expected more than nothing" });
    }
    if !wrong.is_empty() {
        return Response::json(Status::UNPROCESSABLE_CONTENT, &wrong);
    }
    item.id = ITEMS.len();
    Response::json(Status::CREATED, &item).field("location", format!("/items/{}", item.id))
}

fn problem(status: Status, error: &str) -> Response<'static> {
    Response::json(status, &Problem { error })
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::{format, string::String};

    fn ask(method: &str, target: &str, body: &str) -> (u16, String) {
        let request = format!("{method} {target} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let response = respond(request.as_bytes(), answer);
        let mut bytes = [0; 2048];
        let length = response.encode(&mut bytes).unwrap();
        let message = std::str::from_utf8(&bytes[..length]).unwrap();
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        (response.status().code(), String::from(body))
    }

    #[test]
    fn an_item_is_found_by_its_number() {
        assert_eq!(ask("GET", "/items/1", ""), (200, r#"{"id":1,"name":"paper","cents":450}"#.into()));
        for target in ["/items/3", "/items/-1", "/items/x", "/items/99999999999999999999", "/items/1/2"] {
            assert_eq!(ask("GET", target, "").0, 404, "{target}");
        }
    }

    #[test]
    fn an_item_comes_back_as_it_was_sent() {
        assert_eq!(
            ask("POST", "/items", r#"{"name":"a \"b\" \u00e4","cents":5}"#),
            (201, r#"{"id":3,"name":"a \"b\" ä","cents":5}"#.into())
        );
    }

    #[test]
    fn every_mistake_is_told() {
        let (code, body) = ask("POST", "/items", r#"{"name":"","cents":0}"#);
        assert_eq!(code, 422);
        assert!(body.contains(r#""member":"name""#) && body.contains(r#""member":"cents""#), "{body}");
        for body in [
            "",
            "[]",
            "{",
            r#"{"name":"a"}"#,
            r#"{"name":"a","cents":-1}"#,
            r#"{"name":"a","cents":1,"id":7}"#,
        ] {
            assert_eq!(ask("POST", "/items", body).0, 400, "{body}");
        }
    }
}
