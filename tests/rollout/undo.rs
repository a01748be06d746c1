//! Orders that undo or hold do not wait for a candidate that is compiled meanwhile: it still is when
//! they have taken effect. The times are printed, because timing stays out of tests.

use std::process::{Child, Stdio};
use std::time::Instant;

use super::{OPEN, PINS, Site};
use crate::harness::modules::saying;
use crate::harness::{bombs, wait_until};

/// Command that waits for the compiler, killed on drop.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a server of version 2 that rolls out version 3 and compiles version 4, which takes long.
fn compiling_four() -> (Site, Waiting) {
    let site =
        Site::start(&[&PINS[..], &["--compile-memory-max", "4GiB", "--compile-timeout", "10min"]].concat());
    site.place.serves(saying("two"), 2);
    site.begin(saying("three"), OPEN, 3);
    let file = site.file("four.wasm", bombs::much_code(8000));
    let mut command = site.place.command(&["rollout", &file, "--steps", "1%"]);
    let waiting = Waiting(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("it is compiled", || state_of(&site, 4).as_deref() == Some("candidate"));
    (site, waiting)
}

fn state_of(site: &Site, number: u64) -> Option<String> {
    site.versions().into_iter().find(|(found, ..)| *found == number).map(|(_, state, _)| state)
}

/// Runs an order, and prints how long it takes.
fn timed<T>(site: &Site, what: &str, order: impl FnOnce(&Site) -> T) -> T {
    let since = Instant::now();
    let done = order(site);
    println!("{what}: {:.1} ms", since.elapsed().as_secs_f64() * 1e3);
    done
}

#[test]
fn an_abort_does_not_wait_and_concerns_the_rollout_first_and_then_the_work_on_a_candidate() {
    let (site, _waiting) = compiling_four();
    let aborted = timed(&site, "abort", |site| site.order("abort"));
    assert_eq!((&aborted.body["version"], &aborted.body["serving"]), (&3.into(), &2.into()));
    assert_eq!(site.version_for("x-handler-version: 3"), 2);
    assert!(site.reason(3).contains("aborted by "), "{}", site.reason(3));
    assert_eq!(state_of(&site, 4).unwrap(), "candidate", "its work goes on");
    let (code, said) = timed(&site, "abort of the work", |site| site.run(&["rollout", "abort"]));
    assert_eq!((code, &*said), (0, "ended the work on a module; version 2 serves all clients\n"));
    wait_until("the work ends", || state_of(&site, 4).unwrap() == "rejected");
    assert_eq!(site.order("abort").status, 409);
}

#[test]
fn a_pause_and_a_resumption_do_not_wait() {
    let (site, _waiting) = compiling_four();
    let paused = timed(&site, "pause", |site| site.order("pause"));
    assert_eq!((&paused.body["state"], &paused.body["version"]), (&"paused".into(), &3.into()));
    let resumed = timed(&site, "resume", |site| site.order("resume"));
    assert_eq!(resumed.body["state"], "canary");
    timed(&site, "status", |site| site.is_in("canary", Some(1)));
    assert_eq!(site.version_for("x-handler-version: 3"), 3);
    assert_eq!(state_of(&site, 4).unwrap(), "candidate", "its work goes on");
}

#[test]
fn a_rollback_does_not_wait_and_ends_the_rollout_and_the_work_on_a_candidate() {
    for (body, status, version, serving) in [(&b""[..], 200, 3, 2), (b"{\"version\":1}", 201, 1, 1)] {
        let (site, _waiting) = compiling_four();
        let back = |site: &Site| crate::api::post(&site.place, "/v1/rollback", "", body);
        let reply = timed(&site, "rollback", back);
        assert_eq!((reply.status, &reply.body["version"]), (status, &version.into()), "{}", reply.body);
        site.serves_all(serving);
        assert_eq!(site.reason(3), "canary: a rollback was ordered");
        wait_until("the work ends", || state_of(&site, 4).unwrap() == "rejected");
        let cause = "compile: a newer swap, rollback or reload was ordered before it was ready";
        assert_eq!(site.reason(4), cause);
    }
}
