//! Bugs of calls and of their log lines.

use crate::harness::Server;

/// The deadline of a call must count from the time at which it gets its permit.
#[test]
fn the_wait_for_an_instance_was_counted_against_the_deadline() {
    let flags = ["--instances", "1", "--deadline", "1s", "--queue-timeout", "1min"];
    let mut server = Server::of_with("loops_or_counts.wat", &flags);
    let mut endless = server.asking("/l");
    server.log_line(&["entered"]);
    // This call waits until the other one ends at its deadline.
    assert_eq!(server.connect().ask("GET", "/c").status, 200);
    assert_eq!(endless.reply_to("GET").status, 504);
}

/// A call that takes long starts again on a fiber. Lines that it logs again are dropped.
#[test]
fn a_call_that_was_begun_again_logged_its_lines_twice() {
    let server = Server::of("logs_slowly.wat");
    let mut client = server.connect();
    // Makes several calls, to test both a new and a reset instance. A reset one may be
    // ready only for the third call, because optimising replaces the module meanwhile.
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    let lines = server.stop();
    let letters = lines.iter().filter_map(|line| line.split_once("letter ")?.1.chars().next());
    assert_eq!(letters.collect::<String>(), "abcdefgh".repeat(4));
}

#[test]
fn a_call_that_was_begun_again_counted_its_dropped_lines_twice() {
    let server = Server::of_with("logs_slowly.wat", &["--log-lines-max", "4"]);
    let mut client = server.connect();
    for _ in 0..4 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    let lines = server.stop();
    let handlers = lines.iter().filter_map(|line| line.split_once("handler: "));
    let letters: String =
        handlers.map(|(_, line)| if line.starts_with("letter") { 'l' } else { '.' }).collect();
    assert_eq!(letters, "llll.".repeat(4));
}

/// `request=off` hides the log lines of requests, but must not hide faults.
#[test]
fn the_log_level_for_requests_hid_faults_of_the_handler() {
    for (level, is_told) in [("info,request=off", true), ("error,request=off", true), ("off", false)] {
        let server = Server::of_with("traps.wat", &["--log-level", level]);
        let mut client = server.connect();
        assert_eq!(client.ask("GET", "/fine").status, 200);
        assert_eq!(client.ask("GET", "/boom").status, 500);
        let lines = server.stop();
        let requests: Vec<_> = lines.iter().filter(|line| line.contains("request: ")).collect();
        assert_eq!(requests.len(), usize::from(is_told), "{lines:?}");
        let fault = "ERROR request: method=GET target=/boom status=500";
        assert!(requests.iter().all(|line| line.contains(fault)), "{lines:?}");
    }
}
