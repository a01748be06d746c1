//! A JSON API with a paginated list, and with validation of each member of the input. Nothing is
//! stored, because a handler has no storage.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use handler_sdk::{Request, Response, Router, Status, export, get, post};
use serde::{Deserialize, Serialize};
use uuid::Builder;

const ROUTES: Router = Router::new(&[get("/tasks", list), post("/tasks", add)])
    .not_found(|_| problem(Status::NOT_FOUND, "there is no such path"))
    .method_not_allowed(|_| problem(Status::METHOD_NOT_ALLOWED, "the method is not allowed here"));

/// Number of tasks. The tasks are made up, because a handler stores nothing.
const TASKS: usize = 95;
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 50;

#[derive(Serialize)]
struct Page {
    total: usize,
    tasks: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    number: usize,
    title: String,
}

/// Body of `POST /tasks`. A body with an unknown member is refused, because the member is most
/// likely a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New<'a> {
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(default)]
    priority: u8,
}

#[derive(Serialize)]
struct Added<'a> {
    id: String,
    title: &'a str,
    priority: u8,
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

/// Name of a member of the input, and what is wrong with its value.
#[derive(Serialize)]
struct Wrong {
    member: &'static str,
    error: &'static str,
}

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

/// Returns a page of tasks, chosen by `?after=NUMBER&limit=NUMBER`. A page begins after a task
/// rather than at a page number, so that no task appears twice when other tasks are added in the
/// meantime.
fn list(request: Request<'_>) -> Response<'static> {
    let number = |name, default| match request.query_value(name) {
        Some(value) => value.parse::<usize>(),
        None => Some(default),
    };
    let (Some(after), Some(limit @ 1..=LIMIT_MAX)) = (number("after", 0), number("limit", LIMIT)) else {
        return problem(Status::BAD_REQUEST, "expected numbers: after from 0, and limit from 1 to 50");
    };
    let numbers = after.saturating_add(1)..=TASKS;
    let tasks: Vec<_> =
        numbers.take(limit).map(|number| Listed { number, title: format!("task {number}") }).collect();
    let next = tasks.last().map(|task| task.number).filter(|last| *last < TASKS);
    let response = Response::json(Status::OK, &Page { total: TASKS, tasks });
    match next {
        Some(last) => response.field("link", format!("</tasks?after={last}&limit={limit}>; rel=\"next\"")),
        None => response,
    }
}

fn add(request: Request<'_>) -> Response<'static> {
    let new: New<'_> = match request.json() {
        Ok(new) => new,
        Err(error) => return problem(Status::BAD_REQUEST, &format!("{error}")),
    };
    let mut wrong = Vec::new();
    if !(1..=200).contains(&new.title.trim().chars().count()) {
        wrong.push(Wrong { member: "title", error: "expected 1 to 200 letters" });
    }
    if new.priority > 3 {
        wrong.push(Wrong { member: "priority", error: "expected 0 to 3" });
    }
    if !wrong.is_empty() {
        return Response::json(Status::UNPROCESSABLE_CONTENT, &wrong);
    }
    let Some(id) = new_id() else {
        return problem(Status::INTERNAL_SERVER_ERROR, "there are no random bytes");
    };
    let location = format!("/tasks/{id}");
    let added = Added { id, title: new.title.trim(), priority: new.priority };
    Response::json(Status::CREATED, &added).field("location", location)
}

/// Creates a random UUID (version 4). The bytes come from the crate getrandom, which gets them from
/// the host through the SDK's feature `getrandom`. `None` if there are no random bytes.
fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{}", Builder::from_random_bytes(bytes).into_uuid()))
}

fn problem(status: Status, error: &str) -> Response<'static> {
    Response::json(status, &Problem { error })
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::string::{String, ToString};
    use std::{format, vec};

    fn ask(line: &str, body: &str) -> (u16, String) {
        let request = format!("{line} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let response = respond(request.as_bytes(), answer);
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        (response.status().code(), String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn pages_lead_to_each_other() {
        let (mut target, mut seen) = ("/tasks?limit=30".to_string(), vec![]);
        loop {
            let (code, text) = ask(&format!("GET {target}"), "");
            assert_eq!(code, 200, "{text}");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(body.starts_with("{\"total\":95,"), "{body}");
            seen.push(body.matches("\"number\":").count());
            let Some((_, link)) = head.split_once("link: <") else { break };
            target = link.split_once('>').unwrap().0.to_string();
        }
        assert_eq!(seen, [30, 30, 30, 5]);
    }

    #[test]
    fn numbers_are_checked() {
        for query in ["limit=0", "limit=51", "limit=x", "after=-1", "after=99999999999999999999"] {
            assert_eq!(ask(&format!("GET /tasks?{query}"), "").0, 400, "{query}");
        }
        assert!(ask("GET /tasks?after=18446744073709551615", "").1.ends_with("{\"total\":95,\"tasks\":[]}"));
    }

    #[test]
    fn every_mistake_is_told() {
        for (body, status, holds) in [
            ("{\"title\":\" a \"}", 201, "\"title\":\"a\",\"priority\":0}"),
            ("{\"title\":\" \",\"priority\":4}", 422, "\"member\":\"priority\""),
            ("{\"title\":\" \"}", 422, "\"member\":\"title\""),
            ("{\"title\":\"a\",\"due\":1}", 400, "unknown field `due`"),
            ("{\"title\":\"a\",\"priority\":256}", 400, "256"),
            ("[", 400, "\"error\":"),
        ] {
            let (code, text) = ask("POST /tasks", body);
            assert!(code == status && text.contains(holds), "{body}: {text}");
        }
    }

    #[test]
    fn ids_differ() {
        let id = || ask("POST /tasks", "{\"title\":\"a\"}").1;
        assert_ne!(id(), id());
    }
}
