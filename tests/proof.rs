//! A candidate is proved on the recent requests of a server before it serves: the journal,
//! `host diff`, and the gate; and on those that come in, by a rollout.

pub mod handlers;
mod journal;
mod limits;
mod pairs;
mod rolled;
mod secrets;
mod ways;

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Configured, Folder, host, run_to_end};

use handlers::Handler;

/// Answer of a handler that has nothing to say.
const FINE: &str = "HTTP/1.1 200 OK\n\nfine";

/// Settings with which the outcome of a proof does not depend on the speed of the machine.
const PATIENT: &str = "gate-time = '10min'\n";

/// Server with modules in a folder.
struct Place(Configured);

impl Place {
    /// Starts a server whose configuration has these lines. `base.wat` is a handler.
    fn start(base: &Handler, lines: &str) -> Place {
        let folder = Folder::new();
        fs::write(folder.file("base.wat"), base.text()).unwrap();
        Place(Configured::start(folder, lines))
    }

    /// Writes a handler into a file, and returns its path.
    fn write(&self, name: &str, handler: &Handler) -> String {
        fs::write(self.0.folder.file(name), handler.text()).unwrap();
        self.0.folder.path(name)
    }

    /// Asks for targets, one after the other. Returns the last status.
    fn ask<T: AsRef<str>>(&self, targets: &[T]) -> u16 {
        let mut client = self.0.server.connect();
        targets.iter().map(|target| client.ask("GET", target.as_ref()).status).last().unwrap()
    }

    /// Runs a command, and returns its exit code and its reply in JSON.
    fn json(&self, line: &[&str]) -> (i32, Value) {
        let mut command = host();
        command.args(line).arg("--json").current_dir(self.0.folder.file(""));
        let Output { status, stdout, stderr } =
            run_to_end(command.env("HOST_CONTROL", self.0.folder.file("control")));
        let value = serde_json::from_slice(&stdout);
        let value = value.unwrap_or_else(|_| panic!("{line:?}: {}", String::from_utf8_lossy(&stderr)));
        (status.code().unwrap(), value)
    }

    /// Compares a handler with the current version. Returns the exit code and the report.
    fn diff(&self, candidate: &Handler) -> (i32, Value) {
        let file = self.write("candidate.wat", candidate);
        self.json(&["diff", &file, "--time", "10min"])
    }

    /// Swaps to a handler with more flags. Returns the outcome.
    fn swap(&self, candidate: &Handler, flags: &[&str]) -> Value {
        let file = self.write("candidate.wat", candidate);
        let (code, outcome) = self.json(&[&["swap", &file], flags].concat());
        assert_eq!(code == 0, outcome["outcome"] == "serving" || outcome["outcome"] == "unchanged");
        outcome
    }

    /// Checks that the gate lets a handler pass, which serves then. Returns what came of the
    /// requests.
    #[track_caller]
    fn passes(&self, candidate: &Handler, flags: &[&str]) -> Value {
        let outcome = self.swap(candidate, flags);
        assert_eq!(outcome["outcome"], "serving", "{outcome}");
        outcome["replayed"].clone()
    }

    /// Checks that the gate rejects a handler. Returns the cause.
    #[track_caller]
    fn is_rejected(&self, candidate: &Handler, flags: &[&str]) -> String {
        let outcome = self.swap(candidate, flags);
        assert_eq!(
            (&outcome["outcome"], &outcome["stage"]),
            (&"rejected".into(), &"replay".into()),
            "{outcome}"
        );
        outcome["cause"].as_str().unwrap().to_owned()
    }

    /// Rolls back to version 1.
    #[track_caller]
    fn undo(&self) {
        let (code, said) = self.0.run(&["rollback", "1"]);
        assert_eq!(code, 0, "{said}");
    }

    /// Reloads with these lines.
    #[track_caller]
    fn reload(&self, lines: &str) {
        let (code, said) = self.0.reload(lines);
        assert_eq!(code, 0, "{said}");
    }

    /// Returns the classes of the journal, each with its number of requests.
    fn classes(&self) -> Vec<(String, u64)> {
        let (_, journal) = self.json(&["journal"]);
        let classes = journal["classes"].as_array().unwrap().iter();
        classes
            .map(|class| (class["class"].as_str().unwrap().into(), class["requests"].as_u64().unwrap()))
            .collect()
    }
}

/// Checks the numbers of requests; those that are not named are 0.
#[track_caller]
fn assert_counts(found: &Value, expected: &[(&str, u64)]) {
    let counts = found.as_object().unwrap_or_else(|| panic!("there are no counts: {found}"));
    let counts: Vec<(&str, u64)> = (counts.iter())
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let mut expected: Vec<_> = expected.iter().copied().filter(|(_, count)| *count > 0).collect();
    expected.sort_unstable();
    let mut sorted = counts;
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
}
