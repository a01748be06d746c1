//! systemd is told what the server does, if it started the server as a service that says so.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::harness::modules::saying;
use crate::harness::{Deployment, host, host_after};

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(120);

/// The socket on which systemd hears a service.
struct Manager(UnixDatagram);

impl Manager {
    fn bind(place: &Deployment) -> Manager {
        let socket = UnixDatagram::bind(place.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager(socket)
    }

    /// Waits for a message with this line, and returns it.
    fn hears(&self, line: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let mut message = [0; 4096];
            let length =
                self.0.recv(&mut message).unwrap_or_else(|error| panic!("{line}: {error}, after {seen:?}"));
            let message = String::from_utf8(message[..length].to_vec()).unwrap();
            if message.lines().any(|found| found == line) {
                return message;
            }
            seen.push(message);
        }
    }
}

#[test]
fn a_service_says_when_it_is_ready_reloads_and_ends() {
    let place = Deployment::of(saying("one"));
    let manager = Manager::bind(&place);
    let mut command = host();
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let server = place.spawn(command, &[]);
    let ready = manager.hears("READY=1");
    assert!(ready.contains("STATUS=serves one site at http://127.0.0.1:"), "{ready}");
    place.serves(saying("two"), 2);
    manager.hears("STATUS=serves version 2");
    server.signal("HUP");
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(manager.hears("READY=1").contains("STATUS=reloaded"));
    server.signal("TERM");
    manager.hears("STOPPING=1");
    assert!(server.wait().0.success());
}

#[test]
fn a_service_with_a_watchdog_says_that_it_lives() {
    let place = Deployment::new();
    let socket = Manager::bind(&place);
    // A process that systemd has started knows its number from the start.
    let mut command = host_after("export WATCHDOG_PID=$$");
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "100000");
    let server = place.spawn(command, &[]);
    for _ in 0..3 {
        socket.hears("WATCHDOG=1");
    }
    server.stop();
}

#[test]
fn a_service_names_its_new_process_after_an_upgrade() {
    let place = Deployment::of(saying("one"));
    let manager = Manager::bind(&place);
    let mut command = host_after("export WATCHDOG_PID=$$");
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "100000");
    let mut server = place.spawn(command, &[]);
    manager.hears("READY=1");
    let old = server.pid();
    server.upgrade();
    manager.hears(&format!("MAINPID={}", server.pid()));
    // From the new process, which is the one that systemd listens to now.
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    assert_ne!(server.pid(), old);
    assert!(server.first_process_ends().success());
    server.signal("TERM");
    manager.hears("STOPPING=1");
}
