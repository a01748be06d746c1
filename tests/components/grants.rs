//! What a component gets of the world: clocks and random bits that follow from the request, its
//! values as environment, and log lines; and nothing else.

use super::{answers, probe, server};
use crate::harness::Server;

#[test]
fn lines_of_both_outputs_are_log_lines_of_the_request() {
    let mut server = server(&[]);
    let reply = answers(&server, "/stdout", 200, "said");
    let id = format!("id={}", reply.field("x-request-id").unwrap());
    server.log_line(&["INFO handler: to standard output", &id]);
    server.log_line(&["INFO handler: and more", &id]);
    let reply = answers(&server, "/stderr?2", 200, "said");
    let id = format!("id={}", reply.field("x-request-id").unwrap());
    server.log_line(&["WARN handler: line 0 to standard error", &id]);
    server.log_line(&["WARN handler: line 1 to standard error", &id]);
}

#[test]
fn a_flood_of_lines_is_cut_to_the_limit() {
    let server = server(&[]);
    answers(&server, "/stderr?1000", 200, "said");
    let lines = server.stop();
    let said: Vec<_> = lines.iter().filter(|line| line.contains("handler: ")).collect();
    assert_eq!(said.len(), 65, "64 lines, and one that says that more were dropped");
}

#[test]
fn values_are_the_environment_and_secrets_are_masked_in_the_log() {
    let probe = probe();
    let arguments = [&*probe, "--var", "GREETING=hi there", "--secret", "KEY=env:TEST_KEY"];
    let mut command = crate::harness::host();
    command.env("TEST_KEY", "hunter2hunter2");
    let mut server = Server::spawn(command, &arguments);
    answers(&server, "/env", 200, "GREETING=hi there\nKEY=hunter2hunter2");
    server.log_line(&["the environment: GREETING=hi there KEY=[secret KEY]"]);
    assert!(server.stop().iter().all(|line| !line.contains("hunter2")));
    answers(&self::server(&[]), "/env", 200, "");
}

#[test]
fn there_are_no_files_no_sockets_and_no_other_servers() {
    let server = server(&[]);
    let reply = server.connect().ask("GET", "/files");
    assert!(reply.status == 200 && reply.text().starts_with("Err("), "{}", reply.text());
    let reply = server.connect().ask("GET", "/sockets");
    assert!(reply.status == 200 && reply.text().starts_with("Err("), "{}", reply.text());
    let reply = server.connect().ask("GET", "/outbound");
    assert!(reply.status == 200 && reply.text().contains("HttpRequestDenied"), "{}", reply.text());
}

#[test]
fn the_clock_begins_with_the_request_and_random_bits_differ() {
    let server = server(&[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let reply = server.connect().ask("GET", "/clock");
    let seconds: u64 = reply.text().split('.').next().unwrap().parse().unwrap();
    assert!(seconds.abs_diff(now) < 60, "{}", reply.text());
    assert!(reply.text().ends_with("waited 5 ms"), "{}", reply.text());
    let random = || server.connect().ask("GET", "/random").text().to_owned();
    assert_ne!(random(), random());
}
