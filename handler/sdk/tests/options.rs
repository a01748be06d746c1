//! The router's options: methods, trailing slashes, error pages, and CORS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use handler_sdk::test::{Client, Reply};
use handler_sdk::{
    Cors, Index, Method, Methods, Request, Response, Route, Router, Status, TrailingSlash, delete, get, post,
    put,
};

const TABLE: [Route; 10] = [
    get("/", show),
    get("/tasks", show),
    post("/tasks", show),
    get("/tasks/{id}", show),
    put("/tasks/{id}", show),
    delete("/tasks/{id}", show),
    get("/tasks/next", show),
    get("/docs/", show),
    get("/docs/{page}/", show),
    get("/files/{*path}", show),
];

const ROUTES: Router = Router::new(&TABLE);

/// Answers with the pattern of the route and the value of its parameter.
fn show(request: Request<'_>) -> Response<'_> {
    let param = ["id", "page", "path"].into_iter().find_map(|name| request.param(name));
    Response::text(Status::OK, request.route())
        .field("x-param", param.map_or(&b"none"[..], |param| param.raw()))
}

fn plain(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

/// Returns the status of a reply, the value of `allow`, and the body if the status is 200, in one
/// line.
fn short(reply: &Reply) -> String {
    let body = if reply.status() == 200 { reply.text() } else { "" };
    format!("{} {} {body}", reply.status(), reply.field("allow").unwrap_or("-")).trim_end().to_owned()
}

#[test]
fn the_answer_depends_on_the_methods_of_the_target_alone() {
    const INDEXED: Router = Router::indexed(&Index::new(TABLE));
    let clients = [Client::new(plain), Client::new(|request| INDEXED.answer(request))];
    for (method, target, expected) in [
        ("GET", "/tasks", "200 - /tasks"),
        ("PATCH", "/tasks", "405 GET, HEAD, POST, OPTIONS"),
        ("PATCH", "/tasks/3", "405 GET, HEAD, PUT, DELETE, OPTIONS"),
        ("POST", "/tasks/3?a=1", "405 GET, HEAD, PUT, DELETE, OPTIONS"),
        ("OPTIONS", "/tasks/3", "204 GET, HEAD, PUT, DELETE, OPTIONS"),
        // Two patterns match this path.
        ("GET", "/tasks/next", "200 - /tasks/next"),
        ("DELETE", "/tasks/next", "200 - /tasks/{id}"),
        ("POST", "/tasks/next", "405 GET, HEAD, PUT, DELETE, OPTIONS"),
        ("OPTIONS", "/tasks/next", "204 GET, HEAD, PUT, DELETE, OPTIONS"),
        // An unknown target.
        ("GET", "/nope", "404 -"),
        ("POST", "/nope", "404 -"),
        ("PATCH", "/nope", "404 -"),
        ("HEAD", "/nope", "404 -"),
        ("OPTIONS", "/nope", "404 -"),
        // The whole server.
        ("OPTIONS", "*", "204 GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("GET", "*", "404 -"),
        // Methods that no route can have.
        ("TRACE", "/tasks", "501 -"),
        ("CONNECT", "/tasks", "501 -"),
        ("BREW", "/tasks", "501 -"),
        ("BREW", "/nope", "501 -"),
        ("get", "/tasks", "501 -"),
    ] {
        for client in clients {
            assert_eq!(short(&client.request(method, target).send()), expected, "{method} {target}");
        }
    }
}

#[test]
fn a_method_can_be_judged_before_the_path() {
    const FIRST: Router =
        Router::new(&[get("/", show), get("/a", show), post("/a", show)]).method_before_path();
    let client = Client::new(|request| FIRST.answer(request));
    for (method, target, expected) in [
        ("GET", "/nope", "404 -"),
        ("POST", "/nope", "404 -"),
        ("PUT", "/nope", "405 GET, HEAD, POST, OPTIONS"),
        ("PUT", "/", "405 GET, HEAD, POST, OPTIONS"),
        ("BREW", "/nope", "405 GET, HEAD, POST, OPTIONS"),
        ("POST", "/", "405 GET, HEAD, OPTIONS"),
        ("OPTIONS", "/", "204 GET, HEAD, OPTIONS"),
        ("OPTIONS", "/nope", "404 -"),
        ("OPTIONS", "*", "204 GET, HEAD, POST, OPTIONS"),
    ] {
        assert_eq!(short(&client.request(method, target).send()), expected, "{method} {target}");
    }
}

#[test]
fn head_is_get_without_its_body() {
    let client = Client::new(plain);
    let (get, head) = (client.get("/tasks"), client.head("/tasks"));
    assert_eq!((head.status(), head.body()), (200, &b""[..]));
    assert_eq!(head.field("content-type"), get.field("content-type"));
    assert_eq!(client.head("/nope").status(), 404);
}

#[test]
fn a_slash_at_the_end_is_strict_redirected_or_merged() {
    const REDIRECT: Router = ROUTES.trailing_slash(TrailingSlash::Redirect);
    const MERGE: Router = ROUTES.trailing_slash(TrailingSlash::Merge);
    let clients = [
        Client::new(plain),
        Client::new(|request| REDIRECT.answer(request)),
        Client::new(|request| MERGE.answer(request)),
    ];
    for (method, target, expected) in [
        ("GET", "/tasks", ["200 /tasks none", "200 /tasks none", "200 /tasks none"]),
        ("GET", "/tasks/", ["404", "308 /tasks", "200 /tasks none"]),
        ("POST", "/tasks/?a=/b", ["404", "308 /tasks?a=/b", "200 /tasks none"]),
        ("HEAD", "/tasks/3/", ["404", "308 /tasks/3", "200"]),
        ("GET", "/tasks/3/", ["404", "308 /tasks/3", "200 /tasks/{id} 3"]),
        ("PATCH", "/tasks/3/", ["404", "405", "405"]),
        ("OPTIONS", "/tasks/3/", ["404", "204", "204"]),
        ("GET", "/docs", ["404", "308 /docs/", "200 /docs/ none"]),
        ("GET", "/docs/a", ["404", "308 /docs/a/", "200 /docs/{page}/ a"]),
        ("GET", "/docs/a/", ["200 /docs/{page}/ a", "200 /docs/{page}/ a", "200 /docs/{page}/ a"]),
        ("GET", "/files/a/", ["200 /files/{*path} a/", "200 /files/{*path} a/", "200 /files/{*path} a/"]),
        ("GET", "/files/", ["404", "404", "404"]),
        ("GET", "/nope/", ["404", "404", "404"]),
        ("GET", "/", ["200 / none", "200 / none", "200 / none"]),
        ("GET", "//", ["404", "404", "404"]),
        ("GET", "//tasks/", ["404", "404", "404"]),
        ("GET", "*", ["404", "404", "404"]),
    ] {
        for (client, expected) in clients.into_iter().zip(expected) {
            let reply = client.request(method, target).send();
            let place =
                reply.field("location").unwrap_or(if reply.status() == 200 { reply.text() } else { "" });
            let param = if place.is_empty() { None } else { reply.field("x-param") };
            let found = format!("{} {place} {}", reply.status(), param.unwrap_or_default());
            assert_eq!(found.trim_end(), expected, "{method} {target}");
        }
    }
}

#[test]
fn a_redirect_never_leads_to_another_server() {
    const ROUTES: Router = Router::new(&[get("//evil.example", show), get("/{*rest}", show)])
        .trailing_slash(TrailingSlash::Redirect);
    let reply = Client::new(|request| ROUTES.answer(request)).get("//evil.example/");
    assert_eq!((reply.status(), reply.field("location")), (200, None));
    // To a browser, a backslash is a slash.
    const PARAM: Router = Router::new(&[get("/{name}", show)]).trailing_slash(TrailingSlash::Redirect);
    let reply = Client::new(|request| PARAM.answer(request)).get("/\\evil.example/");
    assert_eq!((reply.status(), reply.field("location")), (404, None));
    const ONE: Router = Router::new(&[get("//evil.example", show)]).trailing_slash(TrailingSlash::Redirect);
    let reply = Client::new(|request| ONE.answer(request)).get("//evil.example/");
    assert_eq!((reply.status(), reply.field("location")), (404, None));
}

#[test]
fn an_error_page_covers_errors_without_a_body() {
    const ROUTES: Router = Router::new(&[
        get("/", show),
        get("/broken", |_| Response::new(Status::INTERNAL_SERVER_ERROR).field("x-cause", "a")),
        get("/told", |_| Response::text(Status::BAD_REQUEST, "told")),
        get("/moved", |_| Response::redirect("/")),
    ])
    .error_page(|request, status| {
        Response::html(status, request.path()).field("x-cause", "page").field("x-page", "1")
    });
    let client = Client::new(|request| ROUTES.answer(request));
    let html = "text/html; charset=utf-8";
    for (method, target, status, body, kind, cause) in [
        ("GET", "/nope", 404, "/nope", Some(html), Some("page")),
        ("HEAD", "/nope", 404, "", Some(html), Some("page")),
        ("PUT", "/", 405, "/", Some(html), Some("page")),
        ("BREW", "/", 501, "/", Some(html), Some("page")),
        ("GET", "/broken", 500, "/broken", Some(html), Some("a")),
        ("GET", "/told", 400, "told", Some("text/plain; charset=utf-8"), None),
        ("GET", "/moved", 303, "", None, None),
        ("OPTIONS", "/", 204, "", None, None),
    ] {
        let reply = client.request(method, target).send();
        assert_eq!((reply.status(), reply.text()), (status, body), "{method} {target}");
        assert_eq!((reply.field("content-type"), reply.field("x-cause")), (kind, cause), "{method} {target}");
        let allow = matches!(status, 204 | 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(reply.field("allow"), allow, "{method} {target}");
    }
    // A page for one error takes precedence over the page for all errors.
    const BOTH: Router = ROUTES.not_found(|_| Response::text(Status::NOT_FOUND, "nothing"));
    let client = Client::new(|request| BOTH.answer(request));
    assert_eq!((client.get("/nope").text(), client.put("/", "").text()), ("nothing", "/"));
}

#[test]
fn a_policy_for_other_origins_answers_preflights_and_marks_responses() {
    const ANY: Router = ROUTES.cors(Cors::any().expose(&["x-param"]));
    const LISTED: Router = ROUTES.cors(
        Cors::origins(&["https://a.example", "http://localhost:5173"])
            .methods(Methods::of(&[Method::Get, Method::Put, Method::Patch]))
            .headers(&["content-type", "x-token"])
            .credentials()
            .max_age(600),
    );
    let asks = |method| vec![("origin", "https://a.example"), ("access-control-request-method", method)];
    let any = Client::new(|request| ANY.answer(request));
    let listed = Client::new(|request| LISTED.answer(request));
    let without = Client::new(plain);
    for (name, client, method, target, fields, expected) in [
        ("no policy", without, "GET", "/tasks", asks("GET"), "200 - - - - - - -"),
        ("any, no origin", any, "GET", "/tasks", vec![], "200 - - - - - - -"),
        ("any", any, "GET", "/tasks", asks("GET"), "200 * - - - - x-param -"),
        ("any, an error", any, "GET", "/nope", asks("GET"), "404 * - - - - x-param -"),
        (
            "any, preflight",
            any,
            "OPTIONS",
            "/tasks",
            asks("POST"),
            "204 * GET, HEAD, POST, OPTIONS - - - - -",
        ),
        ("any, preflight of nothing", any, "OPTIONS", "/nope", asks("POST"), "404 * - - - - x-param -"),
        ("listed, no origin", listed, "GET", "/tasks", vec![], "200 - - - - - - origin"),
        (
            "listed, another",
            listed,
            "GET",
            "/tasks",
            vec![("origin", "https://b.example")],
            "200 - - - - - - origin",
        ),
        ("listed, null", listed, "GET", "/tasks", vec![("origin", "null")], "200 - - - - - - origin"),
        (
            "listed, a prefix",
            listed,
            "GET",
            "/",
            vec![("origin", "https://a.example.b")],
            "200 - - - - - - origin",
        ),
        ("listed", listed, "GET", "/tasks", asks("GET"), "200 https://a.example - - true - - origin"),
        ("listed, 405", listed, "PATCH", "/tasks", asks("GET"), "405 https://a.example - - true - - origin"),
        (
            "listed, preflight",
            listed,
            "OPTIONS",
            "/tasks/3",
            asks("PUT"),
            "204 https://a.example GET, HEAD, PUT, OPTIONS content-type, x-token true 600 - origin",
        ),
        (
            "listed, preflight of another",
            listed,
            "OPTIONS",
            "/tasks/3",
            vec![("origin", "https://b.example"), ("access-control-request-method", "PUT")],
            "204 - - - - - - origin",
        ),
        (
            "listed, OPTIONS of a program",
            listed,
            "OPTIONS",
            "/tasks/3",
            vec![("origin", "https://a.example")],
            "204 https://a.example - - true - - origin",
        ),
    ] {
        let asking = fields
            .iter()
            .fold(client.request(method, target), |asking, (name, value)| asking.field(name, value));
        let reply = asking.send();
        let field = |name: &str| reply.field(name).unwrap_or("-").to_owned();
        let found = [
            reply.status().to_string(),
            field("access-control-allow-origin"),
            field("access-control-allow-methods"),
            field("access-control-allow-headers"),
            field("access-control-allow-credentials"),
            field("access-control-max-age"),
            field("access-control-expose-headers"),
            field("vary"),
        ];
        assert_eq!(found.join(" "), expected, "{name}");
    }
}

#[test]
fn an_origin_is_in_the_form_that_browsers_send() {
    for origin in
        ["https://a.example", "http://localhost:5173", "http://[::1]:80", "null", "chrome-extension://abc"]
    {
        let origins: &'static [&'static str] = vec![origin].leak();
        assert!(std::panic::catch_unwind(|| Cors::origins(origins)).is_ok(), "{origin}");
    }
    for origin in
        ["", "*", "a.example", "https://", "://a", "https://a.example/", "https://A.example", "https://a b"]
    {
        let origins: &'static [&'static str] = vec![origin].leak();
        assert!(std::panic::catch_unwind(|| Cors::origins(origins)).is_err(), "{origin}");
    }
    assert!(std::panic::catch_unwind(|| Cors::any().credentials()).is_err());
}

#[test]
fn a_client_sends_what_the_host_sends() {
    fn tell(request: Request<'_>) -> Response<'static> {
        let text = format!(
            "{:?} {:?} {:?} {:?}",
            request.id(),
            request.client(),
            request.time(),
            request.field_text("host")
        );
        Response::text(Status::OK, text.leak() as &str)
    }
    let client =
        Client::new(tell).with_address([192, 0, 2, 1]).with_time(std::time::Duration::from_millis(1_500));
    assert_eq!(client.get("/").text(), r#"Some("test-1") Some(192.0.2.1) Some(1.5s) Some("localhost")"#);

    let form = Client::new(|request| {
        let name = request.form().value("a&b").map_or(&b"none"[..], |name| name.raw());
        Response::text(Status::OK, name).field("x-length", request.field("content-length").unwrap_or(b"none"))
    });
    let reply = form.post_form("/", &[("a&b", "c d")]);
    assert_eq!((reply.text(), reply.field("X-Length")), ("c%20d", Some("11")));
    assert_eq!(form.get("/").field("x-length"), Some("none"));
}
