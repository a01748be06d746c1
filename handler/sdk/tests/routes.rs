//! Compares the router, searched row by row and by index, with a slow and simple matcher.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../../tests/harness/random.rs"]
mod random;

use handler_sdk::{Index, Method, Request, Response, Route, Router, Status};
use random::Random;

/// Maximum number of routes in a random table. The length of an index is fixed, so for an index, a
/// shorter table is filled up to this number with paths that no request has.
const ROUTES: usize = 16;

const METHODS: [(&str, Method); 5] = [
    ("GET", Method::Get),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];

fn show(request: Request<'_>) -> Response<'_> {
    Response::new(Status::OK).body(request.route())
}

/// A route: the index of its method in `METHODS`, and its path.
type Line = (usize, &'static str);

fn random_path(random: &mut Random, number: usize) -> String {
    let mut path = String::new();
    for place in 0..=random.below(4) {
        let segment = match random.below(8) {
            0 | 1 => "a".to_owned(),
            2 => "bb".to_owned(),
            3 => String::new(),
            4 | 5 => format!("{{p{number}_{place}}}"),
            6 => {
                path.push_str(&format!("/{{*r{number}}}"));
                break;
            }
            _ => "a-segment-of-many-bytes".to_owned(),
        };
        path.push('/');
        path.push_str(&segment);
    }
    path
}

/// Returns the kinds of a pattern's segments if the pattern matches the path of a request: 0 is
/// literal, 1 a parameter, 2 a parameter for the rest of the path.
fn kinds(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let wanted: Vec<_> = pattern.split('/').collect();
    let found: Vec<_> = path.split('/').collect();
    let mut kinds = Vec::new();
    for (place, segment) in wanted.iter().enumerate() {
        if segment.starts_with("{*") {
            kinds.push(2);
            return (place < found.len() && !found[place..].join("/").is_empty()).then_some(kinds);
        }
        let here = found.get(place)?;
        let is_parameter = segment.starts_with('{');
        if if is_parameter { here.is_empty() } else { here != segment } {
            return None;
        }
        kinds.push(u8::from(is_parameter));
    }
    (wanted.len() == found.len()).then_some(kinds)
}

/// Removes the names of parameters, so that patterns that match the same requests
/// become the same text.
fn without_names(path: &str) -> String {
    let plain = |segment: &str| match segment.get(..2) {
        Some("{*") => "{*}".to_owned(),
        Some(start) if start.starts_with('{') => "{}".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

/// Returns the expected status, the expected value of `allow`, and the pattern of the expected
/// route.
fn expected(lines: &[Line], method: &str, path: &str) -> (u16, String, String) {
    let allow = |lines: &mut dyn Iterator<Item = &Line>| {
        let methods: Vec<_> = lines.map(|(method, _)| METHODS[*method].0).collect();
        let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let there = |name: &&&str| {
            methods.contains(*name) || **name == "OPTIONS" || (**name == "HEAD" && methods.contains(&"GET"))
        };
        all.iter().filter(there).copied().collect::<Vec<_>>().join(", ")
    };
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method) {
        return (501, String::new(), String::new());
    }
    let here = || lines.iter().filter(|(_, pattern)| kinds(pattern, path).is_some());
    let allowed = allow(&mut here());
    let wanted = if method == "HEAD" { "GET" } else { method };
    let takes = here().filter(|(method, _)| METHODS[*method].0 == wanted);
    match takes.min_by_key(|(_, pattern)| kinds(pattern, path)) {
        Some((_, pattern)) => (200, String::new(), (*pattern).to_owned()),
        None if here().next().is_none() => (404, String::new(), String::new()),
        None if method == "OPTIONS" => (204, allowed, String::new()),
        None => (405, allowed, String::new()),
    }
}

fn found(router: &Router, method: &str, path: &str) -> (u16, String, String) {
    let bytes = format!("{method} {path}?a=/b HTTP/1.1\r\n\r\n");
    let request = Request::parse(bytes.as_bytes()).unwrap();
    let response = router.answer(request);
    let mut message = vec![0; response.encoded_len()];
    response.encode(&mut message).unwrap();
    let message = String::from_utf8(message).unwrap();
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let allow = head.split("\r\nallow: ").nth(1).unwrap_or_default();
    let status = response.status().code();
    (status, allow.to_owned(), if status == 200 { body.to_owned() } else { String::new() })
}

#[test]
fn every_table_answers_as_a_plain_matcher_does() {
    let mut random = Random::new(0x0ab1e);
    let mut statuses = [0; 600];
    for _ in 0..400 {
        let mut lines: Vec<Line> = Vec::new();
        for number in 0..=random.below(ROUTES) {
            let path = random_path(&mut random, number).leak();
            let method = [0, 0, 1, 4][random.below(4)];
            let taken = |line: &Line| line.0 == method && without_names(line.1) == without_names(path);
            if !lines.iter().any(taken) {
                lines.push((method, path));
            }
        }
        let routes: Vec<_> =
            lines.iter().map(|(method, path)| Route::new(METHODS[*method].1, path, show)).collect();
        let filled: [Route; ROUTES] = std::array::from_fn(|place| {
            let filler = || Route::new(METHODS[lines[0].0].1, format!("/nobody/asks/{place}").leak(), show);
            routes.get(place).copied().unwrap_or_else(filler)
        });
        let routers = [
            Router::new(routes.clone().leak()),
            Router::indexed(Box::leak(Box::new(Index::new(filled)))),
            #[cfg(feature = "alloc")]
            Router::of_routes(routes),
        ];
        for _ in 0..100 {
            let mut path = random_path(&mut random, 0);
            if random.below(2) == 0 {
                path = lines[random.below(lines.len())].1.to_owned();
            }
            // Turns a parameter into a segment, and a parameter for the rest into two.
            let path = path.replace("{*", "x/").replace(['{', '}'], ["a", "", "bb", "%20"][random.below(4)]);
            let method = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"][random.below(7)];
            let expected = expected(&lines, method, &path);
            statuses[usize::from(expected.0)] += 1;
            for router in &routers {
                assert_eq!(found(router, method, &path), expected, "{method} {path} in {lines:?}");
            }
        }
    }
    assert!([200, 204, 404, 405, 501].iter().all(|status| statuses[*status] > 1_000), "too few of a kind");
}

#[test]
fn parameters_are_what_the_path_has() {
    fn tell(request: Request<'_>) -> Response<'_> {
        assert_eq!((request.route(), request.param("other")), ("/u/{id}/x/{*rest}", None));
        let [id, rest] = ["id", "rest"].map(|name| request.param(name).unwrap().raw());
        Response::new(Status::OK).field("id", id).field("rest", rest)
    }
    let router = Router::new(const { &[Route::new(Method::Get, "/u/{id}/x/{*rest}", tell)] });
    for (path, id, rest) in [("/u/a%2Fb/x/c/d/", "a%2Fb", "c/d/"), ("/u/{id}/x//", "{id}", "/")] {
        let bytes = format!("GET {path}?/e HTTP/1.1\r\n\r\n");
        let request = Request::parse(bytes.as_bytes()).unwrap();
        assert!(request.param("id").is_none() && request.route().is_empty());
        let mut room = [0; 128];
        let length = router.answer(request).encode(&mut room).unwrap();
        let expected = format!("HTTP/1.1 200 OK\r\nid: {id}\r\nrest: {rest}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&room[..length]), expected);
    }
}

#[test]
fn tables_that_cannot_decide_are_refused() {
    let refused = |paths: &[&'static str]| {
        let routes: Vec<_> = paths.iter().map(|path| Route::new(Method::Get, path, show)).collect();
        let by_line = std::panic::catch_unwind(|| Router::new(routes.clone().leak())).is_err();
        let indexed: Option<[Route; 2]> = routes.try_into().ok();
        if let Some(routes) = indexed {
            let by_index = std::panic::catch_unwind(|| Index::new(routes)).is_err();
            assert_eq!(by_index, by_line);
        }
        by_line
    };
    for paths in [
        &["/a", "/a"][..],
        &["/{a}", "/{b}"],
        &["/a/{b}/c", "/a/{d}/c"],
        &["/{*a}", "/{*b}"],
        &[""],
        &["a"],
        &["/{*a}/b"],
        &["/{}"],
        &["/{*}"],
        &["/a{b}"],
        &["/{b}a"],
        &["/{a"],
        &["/{a}{b}"],
        &["/a b"],
        &["/ü"],
        &["/a?b"],
    ] {
        assert!(refused(paths), "{paths:?}");
    }
    for paths in [
        &["/a", "/a/"][..],
        &["/{a}", "/{*a}"],
        &["/a/{b}", "/{a}/b"],
        &["/*", "/a*b"],
        &["/a", "/A"],
        &["//", "/"],
    ] {
        assert!(!refused(paths), "{paths:?}");
    }
}
