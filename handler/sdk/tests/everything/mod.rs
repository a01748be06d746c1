//! Calls every part of the SDK with arbitrary bytes, and checks that the results agree
//! with each other. Shared with the fuzz target `sdk`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use handler_sdk::{
    Cors, ETag, Encoded, HttpDate, Index, Precondition, Request, Response, Router, SetCookie, Status,
    TrailingSlash, Validators, delete, get, media_type, percent_encoded, post, put, respond,
};

const FEW: Router = Router::new(&[get("/", echo), get("/route", echo), post("/route", echo)]);
const SOME: Router = Router::new(&[get("/a/{id}", echo), get("/a/{*rest}", echo), put("/{x}/b", echo)]);
const MANY: Router = Router::indexed(&Index::new([
    get("/", echo),
    get("/a/{id}", echo),
    delete("/a/{name}", echo),
    get("/a/{*rest}", echo),
    put("/{x}/b", echo),
    get("/{x}/{y}/{z}", echo),
]));

const MERGED: Router = MANY
    .trailing_slash(TrailingSlash::Merge)
    .error_page(|request, status| Response::text(status, request.path()))
    .cors(
        Cors::origins(&["null", "https://a.example"])
            .credentials()
            .max_age(1)
            .headers(&["x"])
            .expose(&["x-path"]),
    );
const REDIRECTED: Router =
    SOME.trailing_slash(TrailingSlash::Redirect).cors(Cors::any()).method_before_path();

/// Checks the path parameters, and answers with the path, the route and the body of the
/// request.
fn echo(request: Request<'_>) -> Response<'_> {
    for name in ["id", "name", "rest", "x", "y", "z"] {
        if let Some(value) = request.param(name) {
            assert!(!value.raw().is_empty() && request.route().contains(name));
            decode(value);
        }
    }
    Response::new(Status::OK)
        .field("x-path", request.path())
        .field("x-route", request.route())
        .body(request.body())
}

/// Routes the bytes as a request, parses them, and reads every part of the request. Panics if two
/// ways to read a part disagree.
pub fn ask_for_everything(bytes: &[u8]) {
    for router in [few, some, many, merged, redirected] {
        let response = respond(bytes, router);
        let mut room = vec![0; response.encoded_len()];
        assert_eq!(response.encode(&mut room), Some(room.len()));
        assert!(room.starts_with(b"HTTP/1.1 "));
    }
    let Ok(request) = Request::parse(bytes) else { return };
    let _ = format!("{request:?}");
    assert!(bytes.starts_with(format!("{} {} HTTP/1.1\r\n", request.method(), request.target()).as_bytes()));
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    assert_eq!(format!("{}{query}", request.path()), request.target());
    assert!(bytes.ends_with(request.body()) || request.field("content-length").is_some());
    for (name, value) in request.fields() {
        let same: Vec<_> = request
            .fields()
            .filter(|(each, _)| each.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(request.field_values(&name.to_ascii_uppercase()).collect::<Vec<_>>(), same);
        assert_eq!(request.field(name), Some(same[0]));
        assert_eq!(value.trim_ascii(), value);
    }
    for (name, value) in request.query_pairs().chain(request.form()) {
        decode(name);
        decode(value);
    }
    for (name, value) in request.cookies() {
        assert!(
            std::str::from_utf8(name).is_err()
                || request.cookie(std::str::from_utf8(name).unwrap()).is_some()
        );
        decode(value);
    }
    let _ = (request.id(), request.client(), request.time(), request.field_text("host"));
    let offers = ["text/html", "application/json", "text/plain;format=flowed"];
    assert!(request.accepts(&offers).is_none_or(|liked| offers.contains(&liked)));
    #[cfg(feature = "json")]
    let _ = request.json::<u32>();
    ask_for_a_part(request);
}

/// The content of a conditional response.
const CONTENT: &str = "0123456789";

fn ask_for_a_part(request: Request<'_>) {
    for (_, value) in request.fields() {
        if let Some(date) = HttpDate::parse(value) {
            let mut room = [0; HttpDate::LENGTH];
            assert_eq!(HttpDate::parse(date.write_into(&mut room).as_bytes()), Some(date));
        }
    }
    assert!(media_type(request.path()).contains('/'));
    let changed = HttpDate::from_unix_seconds(784_111_777);
    for validators in [
        Validators::of(ETag::strong("v1")),
        Validators::of(ETag::weak("v1")),
        Validators::dated(changed),
        Validators::of(ETag::strong("v1")).last_modified(changed),
    ] {
        let precondition = request.precondition(Some(&validators));
        let response = Response::text(Status::OK, CONTENT).conditional(request, &validators);
        let mut room = vec![0; response.encoded_len()];
        response.encode(&mut room).unwrap();
        let text = String::from_utf8(room).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = response.status().code();
        let expected = match precondition {
            Precondition::Passed => vec![200, 206, 416],
            Precondition::NotModified => vec![304],
            Precondition::Failed => vec![412],
        };
        assert!(expected.contains(&code), "{precondition:?}: {code}");
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: bytes "));
        let expected = match (code, range.map(|range| range.strip_suffix("/10").unwrap())) {
            (200, None) => CONTENT,
            (206, Some(range)) => {
                let (first, last) = range.split_once('-').unwrap();
                &CONTENT[first.parse().unwrap()..=last.parse().unwrap()]
            }
            (304 | 412, None) | (416, Some("*")) => "",
            other => panic!("{other:?}"),
        };
        assert_eq!(body, expected);
    }
    #[cfg(feature = "crypto")]
    {
        let keys = handler_sdk::SigningKeys::new(&[b"a key of 16 bytes"]);
        assert_eq!(keys.read_cookie(request, "a"), None);
    }
}

fn few(request: Request<'_>) -> Response<'_> {
    FEW.answer(request)
}

fn some(request: Request<'_>) -> Response<'_> {
    SOME.answer(request)
}

fn many(request: Request<'_>) -> Response<'_> {
    MANY.answer(request)
}

fn merged(request: Request<'_>) -> Response<'_> {
    MERGED.answer(request)
}

fn redirected(request: Request<'_>) -> Response<'_> {
    REDIRECTED.answer(request)
}

fn decode(encoded: Encoded<'_>) {
    let bytes: Vec<u8> = encoded.decoded().collect();
    assert!(bytes.len() <= encoded.raw().len());
    let mut room = vec![0; encoded.raw().len()];
    let text = encoded.decode_into(&mut room).map(str::to_owned);
    assert_eq!(text, String::from_utf8(bytes).ok());
    assert!(text.is_none_or(|text| encoded.is(&text)));
    #[cfg(feature = "alloc")]
    assert_eq!(encoded.to_text(), String::from_utf8(encoded.decoded().collect()).ok().map(Into::into));
    let _ = encoded.parse::<u64>();
}

/// Encodes a text as a query name, a query value and a cookie, and checks that the SDK
/// decodes it.
pub fn send_round(text: &str) {
    let encoded: String = percent_encoded(text).collect();
    let cookie = Response::new(Status::OK).set_cookie(&SetCookie::new("c", text).path("/"));
    let mut room = vec![0; cookie.encoded_len()];
    cookie.encode(&mut room).unwrap();
    let cookie = String::from_utf8(room).unwrap();
    let cookie = cookie.split("set-cookie: ").nth(1).unwrap().split("; Path=/\r\n").next().unwrap();
    let bytes =
        format!("GET /a/{encoded}?q={encoded}&{encoded}=1 HTTP/1.1\r\ncookie: b=1; {cookie}; d=2\r\n\r\n");
    let request = Request::parse(bytes.as_bytes()).unwrap();
    assert!(request.query_value("q").is_some_and(|value| value.is(text)), "{text:?}");
    assert!(text.is_empty() || request.query_value(text).is_some(), "{text:?}");
    assert!(request.cookie("c").is_some_and(|value| value.is(text)), "{text:?}");
    assert_eq!(request.cookies().count(), 3);
}
