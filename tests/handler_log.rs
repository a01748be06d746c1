use crate::harness::Server;

#[test]
fn what_a_handler_logs_is_bounded_and_stays_on_its_line() {
    let mut server = Server::of("logs.wat");
    let reply = server.connect().ask("GET", "/");
    assert_eq!(reply.status, 200);
    let id = reply.field("x-request-id").unwrap();
    let id = format!("id=\"{id}\"");
    server.log_line(&["WARN handler: ", r"first\n\u{1b}[31msecond", &id]);
    server.log_line(&["more log lines were dropped (the limit is --log-lines-max)", &id]);
    server.signal("TERM");
    let (_, lines) = server.wait();
    assert_eq!(lines.iter().filter(|line| line.contains("31msecond")).count(), 64);
    assert!(lines.iter().all(|line| !line.starts_with("second")));
}

#[test]
fn what_a_call_logs_is_heard_once_even_if_it_takes_long() {
    let server = Server::of("logs_slowly.wat");
    let mut client = server.connect();
    // A call takes the other way when an instance waits for it, which may be the
    // third: the module is compiled again meanwhile.
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    server.signal("TERM");
    let (_, lines) = server.wait();
    let letters = lines.iter().filter_map(|line| line.split_once("letter ")?.1.chars().next());
    assert_eq!(letters.collect::<String>(), "abcdefgh".repeat(4));
}

#[test]
fn that_lines_were_dropped_is_said_once_even_if_the_call_takes_long() {
    let module = crate::harness::fixture("logs_slowly.wat").into_os_string();
    let server = Server::with(&[module, "--log-lines-max".into(), "4".into()]);
    let mut client = server.connect();
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    server.signal("TERM");
    let (_, lines) = server.wait();
    let handlers = lines.iter().filter_map(|line| line.split_once("handler: "));
    let letters: String =
        handlers.map(|(_, line)| if line.starts_with("letter") { 'l' } else { '.' }).collect();
    assert_eq!(letters, "llll.".repeat(4));
}

#[test]
fn a_gigabyte_of_log_lines_is_cut_to_the_limits() {
    let server = Server::of("logs_a_gigabyte.wat");
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    server.signal("TERM");
    let (_, lines) = server.wait();
    let handlers: Vec<_> = lines.iter().filter(|line| line.contains("handler: ")).collect();
    assert_eq!(handlers.len(), 65, "64 lines, and one that says that more were dropped");
    assert!(handlers.iter().all(|line| line.len() < 1200), "no line is longer than 1 KiB and its id");
}

#[test]
fn names_in_a_module_cannot_forge_a_log_line() {
    let name = format!("evil\\0aERROR forged\\1b[31m{}", "x".repeat(10_000));
    let module = format!(
        "(module (memory (export \"memory\") 1) (func (export \"alloc\") (param i32) (result i32) (i32.const 8))
           (func $f (@name \"{name}\") unreachable)
           (func (export \"handle\") (param i32 i32) (result i64) (call $f) (i64.const 0)))"
    );
    let mut server = Server::of_text(&module);
    assert_eq!(server.connect().ask("GET", "/").status, 500);
    let line = server.log_line(&["ERROR request", r"in evil\nERROR forged\u{1b}[31mxxx"]);
    assert!(line.len() < 1000, "{} bytes", line.len());
}
