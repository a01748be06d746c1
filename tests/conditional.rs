//! Conditional requests and ranges get the answers of RFC 9110, and random bits follow
//! from the seed of the request.

use std::path::{Path, PathBuf};

use crate::harness::{Folder, Server, host, output_of, wait_until};
use crate::sdk::example;

#[path = "../handler/sdk/tests/conditional/table.rs"]
mod table;

use table::{ROWS, missing, request};

fn document() -> PathBuf {
    example("document", "")
}

#[test]
fn conditions_and_ranges_are_those_of_rfc_9110_through_the_server() {
    let server = Server::with(&[document().as_os_str()]);
    let mut client = server.connect();
    let mut wrong = Vec::new();
    for row in ROWS {
        let (method, _) = row.1.split_once(' ').unwrap();
        client.send(request(row));
        let reply = client.reply_to(method);
        let field = |name: &str| reply.field(name).map(str::to_owned);
        let lacks = missing(row, reply.status, field, reply.text(), true);
        wrong.extend(lacks.into_iter().map(|lack| format!("{}: {lack}", row.0)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn random_bits_differ_between_requests_and_follow_from_a_seed() {
    let module = document();
    let server = Server::with(&[module.as_os_str()]);
    let mut client = server.connect();
    let mut drawn: Vec<_> =
        (0..20).map(|_| client.ask("GET", "/random/32").field("set-cookie").unwrap().to_owned()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 20, "{drawn:?}");

    let call = |seed: &[&str]| {
        let mut command = host();
        command.arg("call").arg(&module).args(["-i", "/random/24"]).args(seed);
        let (_, output) = output_of(&mut command);
        output.lines().find(|line| line.starts_with("set-cookie: ")).unwrap_or(&output).to_owned()
    };
    let seed = "00".repeat(32);
    // The first 8 bytes of three SHA-256 hashes: of 32 zero bytes and then 0, 1 or 2 as a
    // little-endian number of 8 bytes. `a` to `p` are the lower four bits of each byte.
    assert_eq!(call(&["--seed", &seed]), "set-cookie: random=meoncldmjkeojoopnjgmgnpi");
    assert_ne!(call(&[]), call(&[]));
    assert!(call(&["--seed", "0"]).contains("--seed: found `0`; expected a seed of 64 hexadecimal digits"));
}

/// Module that draws a random number for each request, and traps if it is even.
const MAY_TRAP: &str = r#"(module
    (import "host" "random" (func $random (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 8) "HTTP/1.1 200 OK\n\n")
    (func (export "alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle") (param i32 i32) (result i64)
        (if (i64.eqz (i64.and (call $random) (i64.const 1))) (then (unreachable)))
        (i64.const 0x800000011)))"#;

/// Returns the number of recorded requests.
fn recorded(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".fault.http")).count()
}

#[test]
fn a_request_that_failed_by_chance_fails_again_when_it_is_replayed() {
    let folder = Folder::new();
    let module = folder.file("module.wat");
    std::fs::write(&module, MAY_TRAP).unwrap();
    let faults = folder.file("faults");
    let server = Server::with(&["--record".as_ref(), faults.as_os_str(), module.as_os_str()]);
    let mut client = server.connect();
    // Waits for each recording, because the server skips some while the disk is slow.
    let mut failed = 0;
    while failed < 8 {
        failed += usize::from(client.ask("GET", "/").status == 500);
        wait_until("it is recorded", || recorded(&faults) == failed);
    }
    let mut replay = host();
    replay.arg("replay").arg(&faults).arg("--module").arg(&module);
    let (code, output) = output_of(&mut replay);
    assert!(code == 0 && output.ends_with(&format!("{failed} as recorded, 0 otherwise\n")), "{output}");
}

#[test]
fn a_module_cannot_draw_random_bits_while_it_starts() {
    let folder = Folder::new();
    let module = folder.file("module.wat");
    let draws =
        MAY_TRAP.replace("(memory (e", "(func (export \"_initialize\") (drop (call $random)))\n(memory (e");
    std::fs::write(&module, draws).unwrap();
    let mut check = host();
    check.arg("check").arg(&module);
    let (code, output) = output_of(&mut check);
    let expected =
        "host.random was called while the module starts; expected calls while a request is handled";
    assert!(code == 1 && output.contains(expected), "{output}");
}
