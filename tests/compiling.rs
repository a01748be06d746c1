//! Compiling a module takes bounded time and memory, delays no request or command, and
//! can be cancelled. The death of a compile process costs at most its own candidate.

use std::cell::Cell;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::harness::modules::saying;
use crate::harness::{
    Deployment, Random, Server, TextFile, bombs, fails_to_start, host, kill, output_of, wait_until,
};

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Returns a server of version 2 that is compiling version 3, which takes long, and the
/// swap command that waits for version 3.
fn with_slow_candidate() -> (Deployment, Server, Child) {
    let place = Deployment::new();
    let server = place.start(&["--compile-memory-max", "4GiB", "--compile-timeout", "10min"]);
    place.serves(saying("two"), 2);
    let slow = place.begin_swap(bombs::much_code(8000));
    wait_until("it is compiled", || place.tell(&["versions"]).contains("3  candidate"));
    (place, server, slow)
}

#[test]
fn no_module_costs_more_than_the_bounds_of_compiling_and_the_reason_names_one() {
    let place = Deployment::new();
    let server = place.start(&["--compile-memory-max", "128MiB", "--compile-timeout", "20s"]);
    let mut client = server.connect();
    for (name, module) in bombs::all() {
        let since = Instant::now();
        let said = place.swap(module);
        assert!(since.elapsed() < Duration::from_secs(50), "{name}: {:?}", since.elapsed());
        let bounds =
            ["it has more than ", "--compile-memory-max", "--compile-timeout", "--module-max", "br_table"];
        let is_bounded = said.starts_with("rejected") && bounds.iter().any(|bound| said.contains(bound));
        assert!(is_bounded || said.starts_with("serving version "), "{name}: {said}");
        assert_eq!(client.ask("GET", "/").status, 200, "{name}");
    }
    assert!(place.swap(saying("after")).starts_with("serving version "));
    assert_eq!(client.ask("GET", "/").text(), "after");
}

#[test]
fn a_module_is_bounded_at_the_start_and_by_the_tools_too() {
    let file = TextFile::new(bombs::loops_with_parameters(400));
    assert!(fails_to_start(&[file.path()]).contains("it has more than 10000 block parameters in a function"));
    let file = TextFile::new(bombs::chain_of_conditions(5000));
    let path = file.path();
    let flags = ["--compile-memory-max", "48MiB"];
    let bound = "compiling it takes more than 48.0 MiB of memory (--compile-memory-max)";
    let refused = |arguments: &[&str]| {
        let (code, text) = output_of(host().args(arguments).args(flags));
        assert!(code == 1 && text.contains(bound), "{arguments:?}: {text}");
    };
    refused(&[path, "--listen", "127.0.0.1:0", "--no-control"]);
    refused(&["check", path]);
    refused(&["call", path, "/"]);
    let requests = TextFile::new("GET /\n");
    refused(&["test", path, requests.path()]);
}

#[test]
fn undoing_and_asking_do_not_wait_for_a_candidate_and_undoing_ends_it() {
    let (place, mut server, slow) = with_slow_candidate();
    for _ in 0..20 {
        assert!(place.tell(&["status"]).contains("serves version 2"));
    }
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    let cause = "a newer swap, rollback or reload was ordered before it was ready";
    let expected = format!("rejected version 3 in stage compile: {cause}\nversion 1 goes on serving\n");
    assert_eq!(said(slow), expected);
    server.log_line(&["rejected version 3", cause]);
    assert!(place.tell(&["versions"]).contains("1  current"));
}

#[test]
fn a_newer_order_takes_the_place_of_an_older_one() {
    let (place, server, slow) = with_slow_candidate();
    place.serves(saying("four"), 4);
    let rejected = "rejected version 3 in stage compile: a newer swap, rollback or reload was ordered";
    assert!(said(slow).starts_with(rejected));
    assert_eq!(server.connect().ask("GET", "/").text(), "four");
}

#[test]
fn one_compiler_works_at_a_time_and_an_order_interrupts_what_nobody_waits_for() {
    let place = Deployment::new();
    let mut server = place.start(&["--log-level", "debug", "--compile-timeout", "10min"]);
    place.serves(bombs::much_code(1500), 2);
    let most = Cell::new(0);
    let wait_for = |order: &mut Child| {
        while order.try_wait().unwrap().is_none() {
            most.set(most.get().max(server.children().len()));
        }
    };
    // Version 2 is compiled again meanwhile, which takes seconds.
    for _ in 0..5 {
        let mut order = place.begin_swap(b"not a module");
        wait_for(&mut order);
        assert!(said(order).starts_with("rejected version "));
    }
    assert_eq!(most.get(), 1);
    server.log_line(&[": optimised version=2 "]);
}

#[test]
fn an_order_whose_client_has_gone_is_dropped() {
    let (_place, mut server, slow) = with_slow_candidate();
    kill("KILL", slow.id());
    server.log_line(&["rejected version 3", "its client disconnected before it was ready"]);
    drop(said(slow));
}

#[test]
fn a_version_goes_on_with_its_first_code_when_it_cannot_be_compiled_again() {
    let place = Deployment::new();
    let mut server = place.start(&["--compile-timeout", "10min"]);
    let module = bombs::much_code(1500);
    place.serves(&module, 2);
    // Kills all compilers: the one that optimises, and the idle one.
    let failed = "optimised compilation failed; the version keeps its first code";
    wait_until("a compiler is killed", || {
        server.children().into_iter().for_each(|pid| kill("KILL", pid));
        server.log_line_now(&[failed]).is_some()
    });
    server.log_line(&[failed, "version=2", "the compiler was killed"]);
    assert_eq!(server.connect().ask("GET", "/").text(), "let in");
    // The swap may get the idle compiler while it is still dying, and then fails.
    let said = place.swap(saying("three"));
    assert!(said.starts_with("serving version 3") || said.contains("the compiler was killed"), "{said}");
    let said = place.swap(saying("four"));
    assert!(said.starts_with("serving version "), "a killed compiler is replaced: {said}");
}

#[test]
fn a_compiler_that_is_killed_at_any_moment_costs_its_order_and_says_so() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let mut random = Random::new(0x5eed);
    let mut serving = 1;
    for round in 0..20 {
        let word = format!("round {round}");
        // Every second module is large, so that a kill in the middle of compiling is
        // likely.
        let module = if round % 2 == 0 { bombs::much_code(200 + round) } else { saying(&word).into() };
        let order = place.begin_swap(module);
        for _ in 0..random.below(2000) {
            std::hint::spin_loop();
        }
        if random.below(2) == 0 {
            while !place.tell(&["versions"]).contains(&format!("{}  c", round + 2)) {}
        }
        server.children().into_iter().for_each(|pid| kill("KILL", pid));
        let said = said(order);
        match said.strip_prefix("serving version ") {
            Some(_) => serving = round + 2,
            None => assert!(said.contains("in stage compile: the compiler was killed"), "{said}"),
        }
        assert!(place.tell(&["status"]).contains(&format!("serves version {serving}:")), "{said}");
    }
    assert_eq!(place.litter(), [""; 0]);
}

#[test]
fn a_compile_process_has_nothing_but_its_pipes_and_ends_with_the_server() {
    let server = Server::with(&["--listen", "127.0.0.1:0"]);
    // The process that waits for a job. Those of the first version's jobs end by themselves,
    // and none of them warms up.
    let waits = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("warm-up"))
    };
    let compiler = loop {
        if let Some(compiler) = server.children().into_iter().find(waits) {
            break compiler;
        }
    };
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{compiler}/{name}")).unwrap();
    // Waits until the compiler has dropped its resources, which is before it takes a job.
    while !read("limits").lines().any(|line| line.starts_with("Max open files            0 ")) {}
    let descriptors = std::fs::read_dir(format!("/proc/{compiler}/fd")).unwrap();
    let targets: Vec<_> = descriptors.map(|entry| entry.unwrap().path().read_link().unwrap()).collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    assert!(targets.iter().all(|target| target.to_str().unwrap().starts_with("pipe:")), "{targets:?}");
    assert_eq!(read("environ"), "");
    assert_eq!(read("oom_score_adj").trim(), "1000");
    drop(server);
    // This link cannot be read once the process is gone or a zombie.
    let program = format!("/proc/{compiler}/exe");
    wait_until("it ends with the server", || std::fs::read_link(&program).is_err());
}

#[test]
fn kept_versions_are_bounded_by_the_memory_of_their_code() {
    let place = Deployment::new();
    let _server = place.start(&["--keep-bytes", "2MiB", "--compile-timeout", "10min"]);
    let said = place.swap(bombs::much_code(1000));
    assert!(said.contains("in stage compile: its code is "), "{said}");
    assert!(said.contains("more than 2.0 MiB (--keep-bytes)"), "{said}");
    for number in 3..7 {
        assert!(place.swap(bombs::much_code(100 + number)).starts_with("serving version "));
    }
    let table = place.tell(&["versions"]);
    assert!(table.matches("retired").count() < 4 && table.contains("6  current"), "{table}");
}
