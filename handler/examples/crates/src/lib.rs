//! Handler whose routes each use one crate that links the standard library. The tests check the
//! text that each route returns.

use std::collections::HashMap;
use std::fmt::Write as _;

use askama::Template as _;
use base64::Engine as _;
use handler_sdk::prelude::*;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const ROUTES: Router = Router::new(&[
    get("/std", |_| text(standard_library())),
    get("/anyhow", |_| text(anyhow())),
    get("/askama", |_| text(askama())),
    get("/base64", |_| text(base64())),
    get("/chrono", |_| text(chrono())),
    get("/csv", |_| text(csv())),
    get("/hmac", |_| text(hmac())),
    get("/indexmap", |_| text(indexmap())),
    get("/maud", |_| text(maud())),
    get("/minijinja", |_| text(minijinja())),
    get("/percent-encoding", |_| text(percent_encoding())),
    get("/pulldown-cmark", |_| text(pulldown_cmark())),
    get("/regex", |_| text(regex())),
    get("/semver", |_| text(semver())),
    get("/serde_json", |_| text(serde_json())),
    get("/sha2", |_| text(sha2())),
    get("/thiserror", |_| text(thiserror())),
    get("/time", |_| text(time())),
    get("/toml", |_| text(toml())),
    get("/url", |_| text(url())),
    get("/uuid", |_| text(uuid())),
    get("/panic", |_| panic!("{} {}", "a panic with", "its text")),
]);

export!(answer);

/// Answers a request by calling the action of the matching route.
pub fn answer(request: Request) -> Response {
    ROUTES.answer(request)
}

/// Returns a response with the text, or with status 500 and the error message.
fn text(result: anyhow::Result<String>) -> Response<'static> {
    match result {
        Ok(text) => Response::text(Status::OK, text),
        Err(error) => Response::text(Status::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

fn hex(bytes: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?;
    Ok(text)
}

fn standard_library() -> anyhow::Result<String> {
    let words = HashMap::from([(1, "one"), (2, "two")]);
    Ok(words.get(&2).copied().unwrap_or_default().to_owned())
}

fn anyhow() -> anyhow::Result<String> {
    use anyhow::Context as _;
    let failure = "x".parse::<u32>().context("reading a number");
    Ok(failure.map_or_else(|error| format!("{error:#}"), |number| number.to_string()))
}

#[derive(askama::Template)]
#[template(source = "<p>{{ name }}</p>", ext = "html")]
struct Page<'a> {
    name: &'a str,
}

fn askama() -> anyhow::Result<String> {
    Ok(Page { name: "a & b" }.render()?)
}

fn base64() -> anyhow::Result<String> {
    Ok(base64::engine::general_purpose::STANDARD.encode("hello"))
}

fn chrono() -> anyhow::Result<String> {
    let time = chrono::DateTime::from_timestamp_millis(1_795_334_400_000).map(|time| time.to_rfc3339());
    Ok(time.unwrap_or_default())
}

fn csv() -> anyhow::Result<String> {
    let mut reader = csv::Reader::from_reader(&b"name,cents\npencil,120\npaper,450\n"[..]);
    let names: Result<Vec<_>, _> = reader
        .records()
        .map(|record| record.map(|record| record.get(0).unwrap_or_default().to_owned()))
        .collect();
    Ok(names?.join(" "))
}

fn hmac() -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"key")?;
    mac.update(b"The quick brown fox jumps over the lazy dog");
    hex(&mac.finalize().into_bytes())
}

fn indexmap() -> anyhow::Result<String> {
    let map = indexmap::IndexMap::from([("b", 1), ("a", 2)]);
    Ok(map.keys().copied().collect())
}

fn maud() -> anyhow::Result<String> {
    Ok(maud::html! { h1 { "a < b" } }.into_string())
}

fn minijinja() -> anyhow::Result<String> {
    let page = "{% for name in names %}{{ name }};{% endfor %}";
    Ok(minijinja::Environment::new().render_str(page, minijinja::context! { names => ["a", "b"] })?)
}

fn percent_encoding() -> anyhow::Result<String> {
    Ok(percent_encoding::utf8_percent_encode("a b", percent_encoding::NON_ALPHANUMERIC).to_string())
}

fn pulldown_cmark() -> anyhow::Result<String> {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new("a *b*"));
    Ok(html)
}

fn regex() -> anyhow::Result<String> {
    let day = regex::Regex::new(r"(\d{4})-(\d{2})-(\d{2})")?;
    Ok(day.replace("on 2026-11-26", "$3.$2.$1").into_owned())
}

fn semver() -> anyhow::Result<String> {
    let wanted = semver::VersionReq::parse(">=1.2, <2")?;
    Ok(wanted.matches(&semver::Version::parse("1.10.0")?).to_string())
}

fn serde_json() -> anyhow::Result<String> {
    let value: serde_json::Value = serde_json::from_str(r#"{"a": [1, 2]}"#)?;
    Ok(value.to_string())
}

fn sha2() -> anyhow::Result<String> {
    hex(&Sha256::digest(b"abc"))
}

#[derive(Debug, thiserror::Error)]
#[error("there is no {0}")]
struct Missing(&'static str);

fn thiserror() -> anyhow::Result<String> {
    Ok(Missing("page").to_string())
}

fn time() -> anyhow::Result<String> {
    Ok(time::OffsetDateTime::from_unix_timestamp(1_795_334_400)?.date().to_string())
}

fn toml() -> anyhow::Result<String> {
    let table: toml::Table = toml::from_str("[server]\nport = 4444\n")?;
    Ok(table.get("server").and_then(|server| server.get("port")).map(ToString::to_string).unwrap_or_default())
}

fn url() -> anyhow::Result<String> {
    Ok(url::Url::parse("https://a.example/b")?.join("../c?d=1#e")?.to_string())
}

fn uuid() -> anyhow::Result<String> {
    Ok(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, b"example.org").to_string())
}
