//! Checks the compiler's messages for common mistakes. Each mistake is compiled as a crate of its
//! own, without features of the SDK.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Handlers: a name, the lines of the source, and texts that the compiler must print. A handler
/// without such texts must compile.
const HANDLERS: [(&str, &str, &[&str]); 16] = [
    (
        "borrows",
        "fn page(request: Request) -> Response { Response::text(Status::OK, request.path()) }
         const ROUTES: Router = Router::new(&[get(\"/\", page)]);
         fn main() { let _ = handler_sdk::test::Client::new(|request| ROUTES.answer(request)); }",
        &[],
    ),
    (
        "by_reference",
        "fn page(_: &Request<'_>) -> Response<'static> { Response::new(Status::OK) }
         const _: Router = Router::new(&[get(\"/\", page)]);
         fn main() {}",
        &["expected fn pointer `for<'a> fn(handler_sdk::Request<'a>) -> handler_sdk::Response<'a>`"],
    ),
    (
        "same_routes",
        "fn page(_: Request) -> Response { Response::new(Status::OK) }
         const _: Router = Router::new(&[get(\"/users/{id}\", page), get(\"/users/{name}\", page)]);
         fn main() {}",
        &[
            "two routes match the same requests: `GET /users/{id}` and `GET /users/{name}`; remove one, or change its path",
        ],
    ),
    (
        "same_routes_of_an_index",
        "fn page(_: Request) -> Response { Response::new(Status::OK) }
         const _: handler_sdk::Index<2> = handler_sdk::Index::new([post(\"/a\", page), post(\"/a\", page)]);
         fn main() {}",
        &["two routes match the same requests: `POST /a` and `POST /a`"],
    ),
    (
        "malformed_route",
        "fn page(_: Request) -> Response { Response::new(Status::OK) }
         const _: Router = Router::new(&[get(\"/users/{id\", page)]);
         fn main() {}",
        &["the route `/users/{id` cannot be matched: a parameter of a route's path is `{name}` or `{*name}`"],
    ),
    (
        "format",
        "fn page(_: Request) -> Response { Response::text(Status::OK, format!(\"{}\", 1)) }
         fn main() { let _: handler_sdk::Action = page; }",
        &["`format!` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path"],
    ),
    (
        "vec",
        "fn main() { let _ = vec![1]; }",
        &["`vec!` needs the SDK's feature `alloc`; in Cargo.toml: handler-sdk = { path"],
    ),
    (
        "string",
        "fn main() { let _ = String::new(); }",
        &["TurnOnTheFeatureAllocOfHandlerSdk", "`String` needs the SDK's feature `alloc`"],
    ),
    (
        "content",
        "fn page(request: Request) -> Response { Response::text(Status::OK, request.param(\"a\").unwrap()) }
         fn main() { let _: handler_sdk::Action = page; }",
        &[
            "`Encoded<'_>` cannot be the content of a response or of a field",
            "a piece of a request is decoded first: `piece.to_text()` with the feature `alloc`",
        ],
    ),
    // `host dev` finds its hints by the following texts.
    (
        "async_action",
        "async fn page(_: Request<'_>) -> Response<'_> { Response::new(Status::OK) }
         const _: Router = Router::new(&[get(\"/\", page)]);
         fn main() {}",
        &["-> impl Future<Output"],
    ),
    ("json", "fn main() { let _ = Response::json(Status::OK, &1); }", &["named `json` found for struct"]),
    (
        "to_text",
        "fn main() { let _ = Request::parse(b\"\").map(|request| request.param(\"a\").map(|a| a.to_text())); }",
        &["no method named `to_text`"],
    ),
    ("println", "fn main() { println!(\"a\"); }", &["cannot find macro `println`"]),
    ("environment", "fn main() { let _ = env!(\"NO_SUCH_KEY\"); }", &["not defined at compile time"]),
    (
        "credentials_for_all",
        "const _: handler_sdk::Cors = handler_sdk::Cors::any().credentials(); fn main() {}",
        &["a policy with credentials lists its origins: Cors::origins(&[...])"],
    ),
    (
        "origin_with_a_path",
        "const _: handler_sdk::Cors = handler_sdk::Cors::origins(&[\"https://a.example/\"]); fn main() {}",
        &["an origin is `scheme://host` or `scheme://host:port` in lower case"],
    ),
];

#[test]
fn the_compiler_names_what_is_wrong_and_what_helps() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages");
    fs::create_dir_all(folder.join("examples")).unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"messages\"\nedition = \"2024\"\n[dependencies]\nhandler-sdk = {{ path = {:?} }}\n[workspace]\n",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    for (name, lines, expected) in HANDLERS {
        let text = format!("#![no_std]\nuse handler_sdk::prelude::*;\n{lines}\n");
        fs::write(folder.join("examples").join(format!("{name}.rs")), text).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["check", "--offline", "--quiet", "--color", "never", "--example", name]);
        cargo.current_dir(&folder).env("CARGO_TARGET_DIR", folder.join("target"));
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "").env_remove("RUSTC_WORKSPACE_WRAPPER");
        let output = cargo.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), expected.is_empty(), "{name}:\n{printed}");
        assert!(!expected.is_empty() || printed.is_empty(), "{name}:\n{printed}");
        for text in expected {
            assert!(printed.contains(text), "{name}: expected {text}, found:\n{printed}");
        }
    }
}
