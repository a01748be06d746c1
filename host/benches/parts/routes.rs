//! Builds modules with many routes from the SDK, with the Cargo that runs the bench.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::scratch;

/// Kind of the paths in a route table.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// Returns the path of the route with a given number.
    path: fn(usize) -> String,
}

pub const KINDS: [Kind; 2] = [
    Kind { name: "literal paths", path: |number| format!("/api/v1/things/{number}/details") },
    Kind { name: "with a parameter", path: |number| format!("/api/v1/things{number}/{{id}}/details") },
];

/// Number of different paths that are requested in turn.
const ASKED: usize = 64;

/// Returns request targets for routes that are spread over a table of `count` routes.
pub fn asked(kind: Kind, count: usize) -> Vec<String> {
    (0..ASKED).map(|number| (kind.path)(number * 7919 % count).replace("{id}", "4711")).collect()
}

/// Builds a module with `count` routes, unless it was built before. Returns the module. With 10,000
/// routes, the build takes some seconds.
pub fn module(kind: Kind, count: usize) -> Vec<u8> {
    let name = format!("routes-{count}-{}", kind.name.replace(' ', "-"));
    let folder = scratch().join(&name);
    fs::create_dir_all(&folder).unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../handler/sdk");
    let manifest = format!(
        "[package]\nname = {name:?}\nversion = '0.0.0'\nedition = '2024'\n\
         [lib]\ncrate-type = ['cdylib']\npath = 'lib.rs'\n\
         [dependencies]\nhandler-sdk = {{ path = {sdk:?} }}\n\
         [profile.release]\nopt-level = 2\n[workspace]\n"
    );
    let routes: String =
        (0..count).map(|number| format!("get({:?}, show),\n", (kind.path)(number))).collect();
    let code = format!(
        "#![no_std]\n#![allow(long_running_const_eval)]
         use handler_sdk::{{Index, Request, Response, Router, Status, export, get}};
         export!(answer);
         static INDEX: Index<{count}> = Index::new([{routes}]);
         fn answer(request: Request<'_>) -> Response<'_> {{ const {{ Router::indexed(&INDEX) }}.answer(request) }}
         fn show(_: Request<'_>) -> Response<'static> {{ Response::html(Status::OK, \"<h1> hello route</h1>\") }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // Written only if it changes, because Cargo builds again when the file is newer.
    if fs::read_to_string(folder.join("lib.rs")).ok().as_ref() != Some(&code) {
        fs::write(folder.join("lib.rs"), code).unwrap();
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", "wasm32-unknown-unknown", "--target-dir", "target"])
        // The stack size of the default handler.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=-zstack-size=16384")
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let file = format!("target/wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"));
    fs::read(folder.join(file)).unwrap()
}
