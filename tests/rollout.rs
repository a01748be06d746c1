//! Promise: a rollout gives a candidate to the clients that its plan says, a client that has the
//! candidate keeps it, and the current version goes on if the candidate or the server fails.
//!
//! A step ends when the candidate has answered enough requests. In these tests the time of a step
//! is over at once, and the tests decide by requests to the candidate when it ends.

mod clients;
mod configured;
mod ends;
mod one;
mod orders;
mod pins;
mod restart;
mod shadow;
mod steps;
mod undo;
mod verdict;

use serde_json::{Value, json};

use crate::api::events::Followed;
use crate::api::{Reply, get, post};
use crate::harness::modules::saying;
use crate::harness::{Client, Deployment, Server, output_of, wait_until};

/// Flag with which the tests choose versions.
const PINS: [&str; 2] = ["--pin-from", "127.0.0.1"];

/// Plan without an end of its steps but by requests, of which the first one gets nearly no client.
const OPEN: &str = "steps=1%25,50%25&hold=1ms&wait=1h&requests=50&key=header:x-user&percent=100%25";

/// Number of requests that end a step of `OPEN`.
const ENOUGH: usize = 50;

/// Number of requests that are sent before their answers are read.
const BATCH: usize = 100;

/// Server whose version 1 says "old".
struct Site {
    server: Server,
    place: Deployment,
}

impl Site {
    /// Starts a server that does not watch its file.
    fn start(flags: &[&str]) -> Site {
        let place = Deployment::of(saying("old"));
        let server = place.start(&[&["--no-watch"], flags].concat());
        Site { server, place }
    }

    fn events(&self) -> Followed {
        Followed::new(&self.place, "")
    }

    /// Sends a candidate with the parameters of a plan.
    fn send(&self, module: impl AsRef<[u8]>, plan: &str) -> Reply {
        post(&self.place, &format!("/v1/rollout?{plan}"), "", module.as_ref())
    }

    /// Begins a rollout, and checks the number of its candidate.
    #[track_caller]
    fn begin(&self, module: impl AsRef<[u8]>, plan: &str, number: u64) {
        let Reply { status, body, .. } = self.send(module, plan);
        assert_eq!((&body["outcome"], &body["version"]), (&json!("rolling_out"), &json!(number)), "{body}");
        assert_eq!(status, 202, "{body}");
    }

    /// Returns the state of the latest rollout.
    fn status(&self) -> Value {
        get(&self.place, "/v1/rollout").body
    }

    /// Checks the state of the latest rollout, and the number of its step.
    #[track_caller]
    fn is_in(&self, state: &str, step: Option<u64>) -> Value {
        let status = self.status();
        assert_eq!((&status["state"], &status["step"]), (&json!(state), &json!(step)), "{status}");
        status
    }

    /// Gives an order about the rollout in progress.
    fn order(&self, order: &str) -> Reply {
        post(&self.place, &format!("/v1/rollout/{order}"), "", b"")
    }

    /// Runs a command. Returns its exit code and everything that it printed.
    fn run(&self, line: &[&str]) -> (i32, String) {
        output_of(&mut self.place.command(line))
    }

    /// Writes a module into a file, and returns its path.
    fn file(&self, name: &str, module: impl AsRef<[u8]>) -> String {
        std::fs::write(self.place.folder.file(name), module).unwrap();
        self.place.path(name)
    }

    /// Returns all versions, each with its number, its state and its share of the clients.
    fn versions(&self) -> Vec<(u64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let versions = get(&self.place, "/v1/versions").body;
        let versions = versions.as_array().unwrap().iter();
        versions
            .map(|each| (each["number"].as_u64().unwrap(), text(&each["state"]), text(&each["share"])))
            .collect()
    }

    /// Checks all versions, once those that are no longer kept have answered their last request.
    #[track_caller]
    fn has_versions(&self, expected: &[(u64, &str, &str)]) {
        let mut found = Vec::new();
        wait_until("no version is left to drain", || {
            found = self.versions();
            found.iter().all(|(_, state, _)| state != "draining")
        });
        let found: Vec<_> =
            found.iter().map(|(number, state, share)| (*number, &**state, &**share)).collect();
        assert_eq!(found, expected);
    }

    /// Returns why a version was rejected.
    #[track_caller]
    fn reason(&self, number: u64) -> String {
        let mut version = Value::Null;
        wait_until("the version has answered its last request", || {
            version = get(&self.place, &format!("/v1/versions/{number}")).body;
            version["state"] != "draining"
        });
        assert_eq!(version["state"], "rejected", "{version}");
        version["reason"].as_str().unwrap().to_owned()
    }

    /// Returns the number of the version that answers each of some users.
    fn versions_for(&self, users: usize) -> Vec<u64> {
        versions_for(&mut self.server.connect(), users, |user| format!("x-user: {user}"))
    }

    /// Checks that this version answers each client.
    #[track_caller]
    fn serves_all(&self, number: u64) {
        assert_eq!(self.versions_for(300), vec![number; 300]);
    }

    /// Returns the version that answers a request with this field.
    fn version_for(&self, field: &str) -> u64 {
        versions_for(&mut self.server.connect(), 1, |_| field.into())[0]
    }

    /// Lets a version answer some requests. The server has to allow `PINS`.
    #[track_caller]
    fn pinned(&self, version: u64, requests: usize) {
        let pin = |_| format!("x-handler-version: {version}");
        assert_eq!(versions_for(&mut self.server.connect(), requests, pin), vec![version; requests]);
    }
}

/// Sends requests with one more field each. Returns the number of the version that answers each.
#[track_caller]
fn versions_for(client: &mut Client, requests: usize, field: impl Fn(usize) -> String) -> Vec<u64> {
    let mut versions = Vec::with_capacity(requests);
    for begin in (0..requests).step_by(BATCH) {
        let batch = begin..requests.min(begin + BATCH);
        let text = |number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n{}\r\n\r\n", field(number));
        client.send(batch.clone().map(text).collect::<String>());
        versions.extend(batch.map(|_| {
            let reply = client.reply_to("GET");
            assert_eq!(reply.status, 200);
            reply.field("x-handler-version").unwrap().parse::<u64>().unwrap()
        }));
    }
    versions
}

/// Returns how many of some answers are of a version.
fn count(versions: &[u64], version: u64) -> usize {
    versions.iter().filter(|each| **each == version).count()
}

/// Checks that a version answers a share of the clients, to five standard deviations: a good
/// assignment fails this once in a million times.
#[track_caller]
fn assert_share(versions: &[u64], version: u64, share: f64) {
    let (found, all) = (count(versions, version) as f64, versions.len() as f64);
    let deviation = (all * share * (1.0 - share)).sqrt();
    assert!((found - all * share).abs() <= 5.0 * deviation, "{found} of {all}, expected {share}");
}

/// Waits for the next change of the rollout, and checks it.
#[track_caller]
fn changes(events: &mut Followed, version: u64, change: &str, phase: &str) -> Value {
    events.tells(json!({ "event": "rollout", "version": version, "change": change, "phase": phase }))
}
