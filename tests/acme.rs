//! Certificates by ACME, got from pebble: in each way, renewed while connections go on, and kept when
//! the authority fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use self::directory::Directory;
use self::pebble::{HTTP, Habits, Pebble, TLS, pebble};
use crate::harness::{Client, fails_to_start, fixture, host, output_of, wait_until};
use crate::tls::parts::{Authority, NOW, Terms, put_authority};

mod directory;
mod pebble;
mod place;

#[test]
fn certificates_are_got_at_the_tls_port_and_serve_after_a_restart_without_the_authority() {
    let Some(mut pebble) = Pebble::with(Habits { reuse: 100, ..Habits::default() }) else { return };
    let lines = pebble.lines(&["a.test", "B.test"]);
    let mut server = pebble.serve(&lines);
    let terms = pebble.terms();
    for domain in ["a.test", "b.test"] {
        assert_eq!(pebble.wait_for(&terms, domain).ask("GET", "/").status, 200);
        server.log_line(&["ordering a certificate by ACME", domain, "way=TLS-ALPN-01"]);
        let mode = pebble.file(domain).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    assert_eq!(pebble.folder.file("acme").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    // Of another name, there is no certificate, so the client gets the first and refuses it.
    assert!(pebble.connect(&terms, "c.test").err().unwrap().contains("not valid for name"));
    wait_until("both are published", || pebble.run_host(&["cert"]).1.matches("sha256").count() == 2);
    let (code, said) = pebble.run_host(&["cert"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("b.test by ACME\n  next    ") && said.contains("issuer  CN=Pebble"), "{said}");
    let (_, status) = pebble.run_host(&["status"]);
    assert!(status.contains("a.test.pem until ") && status.contains("acme"), "{status}");
    let sha256 = pebble.connect(&terms, "a.test").unwrap().certificate();
    server.stop();
    pebble.stop();

    let mut server = pebble.serve(&lines);
    for domain in ["a.test", "b.test"] {
        assert_eq!(pebble.connect(&terms, domain).unwrap().ask("GET", "/").status, 200);
    }
    assert_eq!(pebble.connect(&terms, "a.test").unwrap().certificate(), sha256);
    // Nothing is due, so the authority that is gone is not missed.
    wait_until("planned", || pebble.run_host(&["cert"]).1.matches("by ACME\n  next").count() == 2);
    assert!(server.log_line_now(&["ordering"]).is_none());
    assert_eq!(pebble.run_host(&["cert"]).0, 0);
}

#[test]
fn a_certificate_is_got_at_the_plain_port_where_the_tls_port_does_not_lead_here() {
    let Some(pebble) = Pebble::running() else { return };
    let elsewhere = format!("{}:0", pebble.ip);
    let lines = pebble.lines(&["a.test"]).replace(&format!("{}:{TLS}", pebble.ip), &elsewhere);
    let lines = lines + &format!("module = '{}'\n", fixture("show.wat"));
    for at_plain_port in [",redirect", ",plain"] {
        let mut server = pebble.serve(&lines.replace(",redirect", at_plain_port));
        server.log_line(&["ordering", "a.test", "way=TLS-ALPN-01"]);
        server.log_line(&["ordering", "a.test", "way=HTTP-01"]);
        server.log_line(&["certificate published for new connections", "names=\"a.test\""]);
        let address = server.addresses[0];
        let mut client = pebble.terms().connect(address, "a.test").unwrap();
        assert_eq!(client.ask("GET", "/").status, 200);
        // Paths without a challenge in flight are those of the handler.
        let path = "/.well-known/acme-challenge/unknown";
        assert!(client.ask("GET", path).text().starts_with(&format!("GET {path} ")));
        let reply = Client::connect((pebble.ip, HTTP).into()).ask("GET", path);
        match at_plain_port {
            ",plain" => assert!(reply.text().starts_with(&format!("GET {path} ")), "{}", reply.text()),
            _ => assert_eq!(reply.status, 308),
        }
        server.stop();
        fs::remove_dir_all(pebble.folder.file("acme")).unwrap();
    }
}

#[test]
fn a_certificate_is_renewed_without_a_failed_handshake_and_the_last_one_serves_on_when_that_fails() {
    let habits = Habits { validity: 30, ..Habits::default() };
    let Some(mut pebble) = Pebble::with(habits) else { return };
    let lines = pebble.lines(&["a.test"]);
    let mut server = pebble.serve(&lines);
    let terms = pebble.terms();
    let mut old = pebble.wait_for(&terms, "a.test");
    let first = old.certificate();
    let mut connections = 0;
    wait_until("the certificate is renewed", || {
        let mut client = pebble.connect(&terms, "a.test").unwrap();
        assert_eq!(client.ask("GET", "/").status, 200);
        assert_eq!(old.ask("GET", "/").status, 200);
        connections += 1;
        client.certificate() != first
    });
    assert!(connections > 10);
    assert_eq!(old.ask("GET", "/").status, 200);
    let second = pebble.connect(&terms, "a.test").unwrap().certificate();
    pebble.stop();
    let line = server.log_line(&["no certificate was got by ACME, the one before it goes on"]);
    for text in ["step=\"account\"", "cannot connect: ", "failures=1", "next=", "--acme-directory"] {
        assert!(line.contains(text), "{text}: {line}");
    }
    let (code, said) = pebble.run_host(&["cert"]);
    assert!(code == 1 && said.contains("failed  1 time, last because: account: "), "{said}");
    assert!(pebble.run_host(&["status"]).1.contains("no certificate was got for a.test by ACME"));
    let (_, events) = pebble.run_host(&["status", "--json"]);
    assert!(events.contains("\"failures\": 1") || events.contains("\"failures\":1"), "{events}");
    assert_eq!(
        pebble.connect(&terms, "a.test").map(|client| client.certificate()).unwrap_or(second.clone()),
        second
    );

    // An authority that knows nothing of the account gets another one. A reload tries at once.
    pebble.run(habits);
    let terms = pebble.terms();
    pebble.reload(&lines);
    pebble.wait_for(&terms, "a.test");
    wait_until("the failure is over", || pebble.run_host(&["cert"]).0 == 0);
}

#[test]
fn handshakes_are_refused_until_there_is_a_certificate_and_a_reload_tries_again() {
    let Some(mut pebble) = pebble() else { return };
    let lines = pebble.lines(&["a.test"]);
    let mut server = pebble.serve(&lines);
    server.log_line(&["no certificate was got by ACME, the domain has none yet", "step=\"account\""]);
    let refused = pebble.connect(&Terms::new(&Authority::new("none")), "a.test").err().unwrap();
    assert!(refused.contains("AccessDenied"), "{refused}");
    server.log_line(&[
        "TLS handshakes are refused until the first certificate is got (--acme)",
        "name=\"a.test\"",
    ]);
    pebble.run(Habits::default());
    pebble.reload(&lines);
    let terms = pebble.terms();
    pebble.wait_for(&terms, "a.test");

    // A reload adds a domain and takes one away.
    pebble.reload(&pebble.lines(&["a.test", "b.test"]));
    pebble.wait_for(&terms, "b.test");
    pebble.reload(&pebble.lines(&["b.test"]));
    assert!(pebble.connect(&terms, "a.test").is_err());
    pebble.connect(&terms, "b.test").unwrap();
    pebble.reload(&pebble.lines(&["b.test", "a.test"]));
    pebble.connect(&terms, "a.test").unwrap();
}

#[test]
fn a_reload_turns_acme_on_beside_a_certificate_of_a_file() {
    let Some(pebble) = Pebble::running() else { return };
    let authority = Authority::new("authority");
    authority.issue(&["file.test"], NOW).put(&pebble.folder, "file");
    let file = "tls-cert = 'file.pem'\ntls-key = 'file.key'\n";
    let lines = pebble.lines(&["a.test"]);
    let is_other = |line: &&str| !line.starts_with("acme");
    let without: String = lines.lines().filter(is_other).map(|line| format!("{line}\n")).collect();
    let _server = pebble.serve(&(without.clone() + file));
    let (terms, own) = (pebble.terms(), Terms::new(&authority));
    assert!(pebble.connect(&terms, "a.test").is_err());
    pebble.reload(&(lines + file));
    pebble.wait_for(&terms, "a.test");
    pebble.connect(&own, "file.test").unwrap();
    pebble.reload(&(without + file));
    assert!(pebble.connect(&terms, "a.test").is_err());
    pebble.connect(&own, "file.test").unwrap();
}

/// Returns how long `host cert` says that the server waits for the next attempt of each domain.
fn waits(said: &str) -> Vec<Duration> {
    let next = said.lines().filter_map(|line| line.trim_start().strip_prefix("next    "));
    let next = next.map(|time| humantime::parse_rfc3339(time).unwrap());
    next.map(|time| time.duration_since(SystemTime::now()).unwrap_or_default()).collect()
}

#[test]
fn the_authority_looks_in_vain_five_times_in_an_hour_at_most() {
    let Some(pebble) = Pebble::running() else { return };
    // The domain leads elsewhere, at both ports.
    let lines = pebble.lines(&["a.test"]).replace(&format!(":{TLS}'"), ":0'");
    let lines = lines.replace(&format!(":{HTTP},"), ":0,");
    let mut server = pebble.serve(&lines);
    for failures in 1..=3 {
        let line = server.log_line(&["no certificate was got by ACME", &format!("failures={failures}")]);
        assert!(line.contains("step=\"challenge TLS-ALPN-01\""), "{line}");
        pebble.reload(&lines);
    }
    server
        .log_line(&["not tried now: the authority has looked 5 times in vain within an hour", "way=HTTP-01"]);
    // The time of an attempt that is in progress stands there until it has failed.
    let planned = || {
        wait_until("the next attempt is planned for after the hour", || {
            let waits = waits(&pebble.run_host(&["cert"]).1);
            waits.first().is_some_and(|wait| *wait > Duration::from_secs(50 * 60))
        });
    };
    planned();
    server.stop();
    let mut server = pebble.serve(&lines);
    server.log_line(&["orders by ACME have failed before", "a.test", "failures=3", "challenge TLS-ALPN-01"]);
    planned();
    pebble.reload(&lines);
    planned();
    assert!(server.log_line_now(&["ordering"]).is_none());
    let log = pebble.log();
    assert_eq!(log.matches(" validations.").count(), 5, "{log}");
}

#[test]
fn an_authority_that_has_no_time_is_left_alone_for_all_domains_and_over_restarts() {
    let directory = Directory::start(3000);
    let lines = directory.lines(&["a.test", "b.test"]);
    let planned = |asked: usize| {
        let near = Duration::from_secs(2900)..Duration::from_secs(3001);
        wait_until("both are planned for the time that the authority has named", || {
            let waits = waits(&directory.run_host(&["cert"]).1);
            waits.len() == 2 && waits.iter().all(|wait| near.contains(wait))
        });
        assert_eq!(directory.asked(), asked);
    };
    let mut server = directory.serve(&lines);
    server.log_line(&[
        "no certificate is ordered by ACME for any domain until the authority wants to be asked",
    ]);
    planned(1);
    directory.reload(&lines);
    planned(1);
    server.stop();
    let mut server = directory.serve(&lines);
    server.log_line(&["orders by ACME have failed before", "domain=a.test", "failures=1"]);
    planned(1);
    server.stop();
    // A clock that was far ahead when the plans were written does not put orders off for ever.
    let file = directory.kept("plans.json");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    fs::write(&file, "{\"at\": 99999999999, \"held\": 1, \"domains\": {}}").unwrap();
    let server = directory.serve(&lines);
    wait_until("it is asked again", || directory.asked() == 2);
    planned(2);
    server.stop();
    fs::write(&file, "{\"at\": \"now\"}").unwrap();
    let mut server = directory.serve(&lines);
    server.log_line(&["the plans of ACME cannot be used", "plans.json"]);
    wait_until("it is asked again", || directory.asked() == 3);
    planned(3);
}

#[test]
fn a_server_that_is_killed_within_an_order_does_not_order_again_at_once() {
    let directory = Directory::start(0);
    directory.hang();
    let lines = directory.lines(&["a.test"]);
    let server = directory.serve(&lines);
    wait_until("it is asked", || directory.asked() == 1);
    server.signal("KILL");
    server.wait();
    let mut server = directory.serve(&lines);
    server.log_line(&["orders by ACME have failed before", "the server has ended before it", "failures=1"]);
    let mut last = Vec::new();
    wait_until("planned", || {
        last = waits(&directory.run_host(&["cert"]).1);
        !last.is_empty()
    });
    assert!(last[0] > Duration::from_secs(5) && last[0] < Duration::from_secs(80), "{last:?}");
    assert_eq!(directory.asked(), 1);
    // A reload asks at once.
    directory.reload(&lines);
    wait_until("it is asked again", || directory.asked() == 2);
}

#[test]
fn an_upgrade_hands_the_orders_over() {
    let Some(pebble) = Pebble::running() else { return };
    let mut server = pebble.serve(&pebble.lines(&["a.test"]));
    let terms = pebble.terms();
    pebble.wait_for(&terms, "a.test");
    server.upgrade();
    pebble.connect(&terms, "a.test").unwrap();
    pebble.reload(&pebble.lines(&["a.test", "b.test"]));
    pebble.wait_for(&terms, "b.test");
    // Neither was ordered by both processes.
    assert_eq!(pebble.log().matches("Added order").count(), 2);
}

#[test]
fn bad_nonces_are_survived() {
    let Some(pebble) = Pebble::with(Habits { bad_nonces: 50, ..Habits::default() }) else { return };
    let mut server = pebble.serve(&pebble.lines(&["a.test", "b.test"]));
    let terms = pebble.terms();
    for domain in ["a.test", "b.test"] {
        pebble.wait_for(&terms, domain);
    }
    assert!(server.log_line_now(&["no certificate was got"]).is_none());
}

#[test]
fn a_domain_is_proved_where_clients_need_a_certificate_and_beside_a_certificate_of_a_file() {
    let Some(pebble) = Pebble::running() else { return };
    let authority = Authority::new("authority");
    authority.issue(&["file.test"], NOW).put(&pebble.folder, "file");
    put_authority(&pebble.folder, "clients.pem", &authority);
    let more = "tls-cert = 'file.pem'\ntls-key = 'file.key'\ntls-client-ca = 'clients.pem'\n";
    let mut server = pebble.serve(&(pebble.lines(&["a.test"]) + more));
    server.log_line(&["certificate published for new connections", "names=\"a.test\""]);
    let robot = authority.issue_to_client("robot");
    let own = Terms::with(&authority, rustls::ALL_VERSIONS, Some(&robot));
    assert_eq!(pebble.connect(&own, "file.test").unwrap().ask("GET", "/").status, 200);
    assert!(server.log_line_now(&["way=HTTP-01"]).is_none());
    let said = pebble.run_host(&["cert"]).1;
    assert!(said.contains("file.pem\n") && said.contains("a.test.pem\n"), "{said}");
}

#[test]
fn a_damaged_file_is_replaced_and_does_not_take_the_certificate_away() {
    let Some(pebble) = Pebble::running() else { return };
    let lines = pebble.lines(&["a.test"]);
    let mut server = pebble.serve(&lines);
    let terms = pebble.terms();
    let sha256 = pebble.wait_for(&terms, "a.test").certificate();
    fs::write(pebble.file("a.test"), "damaged").unwrap();
    server.log_line(&["a certificate is not replaced: the one before it goes on", "a.test.pem (--acme-dir)"]);
    assert_eq!(pebble.connect(&terms, "a.test").unwrap().certificate(), sha256);
    // The one in use is written back, so that a restart serves it. A file that is gone comes back, too.
    let back = "the certificate in use was written back";
    server.log_line(&[back, "domain=a.test"]);
    fs::remove_file(pebble.file("a.test")).unwrap();
    wait_until("the file is back", || pebble.file("a.test").exists());
    wait_until("nothing is refused", || pebble.run_host(&["cert"]).0 == 0);
    server.stop();
    let server = pebble.serve(&lines);
    assert_eq!(pebble.connect(&terms, "a.test").unwrap().certificate(), sha256);
    server.stop();
    fs::write(pebble.file("a.test"), "damaged").unwrap();
    let mut server = pebble.serve(&lines);
    server.log_line(&["a certificate is not used: another one is ordered", "a.test.pem"]);
    assert_ne!(pebble.wait_for(&terms, "a.test").certificate(), sha256);
}

#[test]
fn an_authority_that_is_not_trusted_is_named() {
    let Some(pebble) = Pebble::running() else { return };
    put_authority(&pebble.folder, "other.pem", &Authority::new("other"));
    let lines = pebble.lines(&["a.test"]).replace("directory-ca.pem", "other.pem");
    let mut server = pebble.serve(&lines);
    let line = server.log_line(&["no certificate was got by ACME"]);
    let expected = "its certificate is not trusted: UnknownIssuer (--acme-ca names other authorities)";
    assert!(line.contains(expected), "{line}");
    assert!(line.contains(&format!("https://{}:14000/dir", pebble.ip)), "{line}");
}

#[test]
fn mistakes_about_acme_are_told() {
    let folder = crate::harness::Folder::new();
    let open = folder.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    put_authority(&folder, "ca.pem", &Authority::new("ca"));
    let ca = folder.path("ca.pem");
    let (dir, no_dir) = (folder.path("dir"), folder.path("ca.pem/dir"));
    let listen = ["--no-control", "--listen", "127.0.0.1:0"];
    let acme = ["--acme", "a.test", "--acme-agree", "--acme-ca", &ca];
    for (flags, expected) in [
        (
            &["--acme-dir", open.as_str()][..],
            "(--acme-dir): others can look into it (its mode is 0755; expected 0700",
        ),
        (&["--acme-dir", no_dir.as_str()], "ca.pem/dir (--acme-dir): "),
    ] {
        let said = fails_to_start(&[&listen, &acme[..], flags].concat());
        assert!(said.contains(expected), "{said}");
    }
    let said = fails_to_start(
        &[&listen[..], &["--acme", "a.test", "--acme-agree", "--acme-dir", &dir, "--acme-ca", "none.pem"]]
            .concat(),
    );
    assert!(
        said.contains("cannot use the certificate none.pem (--acme-ca): there is no such file"),
        "{said}"
    );
    for (flags, expected) in [
        (&["--acme", "a.test"][..], "--acme needs your agreement to the terms of service"),
        (
            &["--acme", "a.test", "--acme-agree"],
            "--acme needs a folder for its keys; expected --acme-dir DIR or --state-dir DIR",
        ),
        (&["--acme", "a.test", "--acme", "A.test", "--acme-agree"], "found a.test twice"),
        (&["--acme-agree"], "--acme-agree needs a domain"),
        (&["--acme", "*.a.test"], "a wildcard needs a record in the DNS"),
        (&["--acme", "a.test,b.test"], "expected one domain; for several, repeat the flag"),
        (&["--acme", "127.0.0.1"], "expected a domain such as www.example.com"),
        (&["--acme", "a.test", "--acme-directory", "http://a/"], "expected a URL of https"),
        (&["--acme", "a.test", "--acme-email", "admin"], "expected a mail address"),
    ] {
        let (code, said) = output_of(host().args(listen).args(flags));
        assert!(code == 2 && said.starts_with("error: ") && said.lines().count() == 1, "{code} {said}");
        assert!(said.contains(expected), "{said}");
    }
}
