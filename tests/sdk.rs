//! Modules that are built with the SDK are served, and import only what they use.

use std::path::{Path, PathBuf};
use std::process::Command;

use handler_sdk::abi::{CONFIGURE, VALUES_MAX};
use host_wasm::{Effort, Values};

use crate::harness::oracle::{Host, call};
use crate::harness::{Server, scratch};

fn shop() -> PathBuf {
    example("shop", "json")
}

/// Builds an example of the SDK as a module, by the Cargo that runs the tests.
pub(crate) fn example(name: &str, features: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // Uses another target folder, because the Cargo that runs the tests may have locked
    // the usual one.
    let target = scratch().join(name);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--release", "--package", "handler-sdk", "--example", name])
        .args(["--features", features, "--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join(format!("wasm32-unknown-unknown/release/examples/{name}.wasm"))
}

#[test]
fn a_module_that_uses_all_of_the_sdk_is_served() {
    let module = shop();
    let mut server = Server::with(&[module.as_os_str(), "--log-level".as_ref(), "debug".as_ref()]);
    server.log_line(&["the shop opens"]);
    let mut client = server.connect();

    // Makes each request twice: the second one may get an instance that was reset.
    for _ in 0..2 {
        let reply = client.ask("GET", "/articles");
        assert_eq!(reply.field("content-type"), Some("application/json"));
        assert!(reply.text().starts_with(r#"[{"number":1,"name":"bread","cents":101},{"number":2,"#));
        assert_eq!(client.ask("GET", "/articles/%32").text(), r#"{"number":2,"name":"butter","cents":102}"#);
        assert_eq!(client.ask("GET", "/articles/x").status, 404);
        assert_eq!(client.ask("DELETE", "/articles").field("allow"), Some("GET, HEAD, OPTIONS"));
        client.send("GET /articles HTTP/1.1\r\nhost: a\r\naccept: text/*\r\n\r\n");
        assert_eq!(client.reply_to("GET").text(), "<ul><li>bread</li><li>butter</li><li>jam</li></ul>");

        let articles = br#"[{"number":7,"name":"tea","cents":250},{"number":8,"name":"milk","cents":99}]"#;
        assert_eq!(client.post("/total", articles).text(), r#"{"cents":349}"#);
        server.log_line(&["2 articles for 349"]);
        let reply = client.post("/total", b"[{]");
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("at line 1 column 3"), "{}", reply.text());

        client.send(
            "POST /session HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\nname=a%3b",
        );
        let reply = client.reply_to("POST");
        assert_eq!((reply.status, reply.field("location")), (303, Some("/articles")));
        let cookie = "name=a%3B; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax";
        assert_eq!(reply.field("set-cookie"), Some(cookie));

        // Makes the module allocate and free some megabytes.
        for count in [1, 1_000, 20_000] {
            let words: String = (0..count).map(|number| format!("{number} ")).collect();
            let kept = (count - 1) / 100 + 1;
            assert_eq!(client.ask("GET", &format!("/words/{count}")).text(), format!("{kept} {words}"));
        }
    }
}

#[test]
fn a_module_imports_what_it_uses() {
    let (imports, exports) = names(&shop());
    assert_eq!(imports, ["host.log"]);
    let initialize = handler_sdk::abi::INITIALIZE;
    assert!(exports.iter().any(|export| export == initialize), "{exports:?}");
    let (imports, exports) = names(&example("document", ""));
    assert_eq!(imports, ["host.random"]);
    assert!(exports.iter().all(|export| ![initialize, CONFIGURE].contains(&&**export)), "{exports:?}");
}

#[test]
fn a_module_that_asks_for_values_gets_them_with_and_without_a_heap() {
    let host = Host::new();
    for features in ["", "alloc", "std"] {
        let path = example("greeting", features);
        let (imports, exports) = names(&path);
        assert_eq!((imports.len(), exports.iter().filter(|name| *name == CONFIGURE).count()), (0, 1));
        let module = std::fs::read(path).unwrap();
        let start = |values: &[(&str, &str, bool)]| {
            let values = Values::new(values.iter().copied()).unwrap();
            host.start_with(&module, Effort::Quick, values.into()).unwrap()
        };
        let with = start(&[
            ("NAME", "wörld", false),
            ("GREETING", "salut", false),
            ("KEY", "hunter2 hunter2", true),
        ]);
        let without = start(&[]);
        let long = "x".repeat(VALUES_MAX - "A\0\0".len());
        let full = start(&[("A", &long, false)]);
        let ask = |module, path: &str| {
            let reply = host.call(module, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())?;
            Ok::<_, String>(String::from_utf8(reply).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned())
        };
        for _ in 0..2 {
            assert_eq!(ask(&with, "/").unwrap(), "salut");
            assert_eq!(ask(&with, "/name").unwrap(), "wörld");
            assert_eq!(ask(&with, "/last").unwrap(), "wörld");
            assert_eq!(ask(&without, "/").unwrap(), "hello");
            assert_eq!(ask(&without, "/name").unwrap(), "nobody");
            assert_eq!(ask(&without, "/last").unwrap(), "none");
            assert!(ask(&full, "/last").unwrap() == long);
        }
        let fail = |module| {
            let request = b"GET /fail HTTP/1.1\r\n\r\n".to_vec().into();
            host.runtime.block_on(call(module, &request).end()).unwrap_err().to_string()
        };
        let panic = fail(&with);
        assert!(panic.starts_with("panic: the key is [secret KEY] at "), "{panic}");
        assert!(fail(&without).starts_with("panic: the key is missing at "));
    }
}

/// Returns the names of a module's imports and exports.
fn names(module: &Path) -> (Vec<String>, Vec<String>) {
    let module = std::fs::read(module).unwrap();
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for part in wasmparser::Parser::new(0).parse_all(&module) {
        match part.unwrap() {
            wasmparser::Payload::ImportSection(section) => {
                let imported = section.into_imports().map(Result::unwrap);
                imports.extend(imported.map(|import| format!("{}.{}", import.module, import.name)));
            }
            wasmparser::Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}
