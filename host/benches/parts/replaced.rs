//! A server whose file is replaced repeatedly.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Server, scratch};

/// Pause between two requests for the newest version: short compared with what is
/// measured, and long enough to leave the server idle.
const ASK_INTERVAL: Duration = Duration::from_millis(1);

/// Longest time until a version serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server and its file. The number of a variant is the number of its version.
pub struct Replaced {
    pub server: Server,
    file: PathBuf,
    pub number: u64,
    variant: fn(u64) -> Vec<u8>,
}

impl Replaced {
    /// Starts with the first variant. The name of the file must be unique.
    pub fn start(name: &str, variant: fn(u64) -> Vec<u8>, flags: &[&str]) -> Replaced {
        let file = scratch().join(format!("{name}-{}.wasm", std::process::id()));
        fs::write(&file, variant(1)).unwrap();
        let mut arguments = vec![file.to_str().unwrap(), "--log-level", "off"];
        arguments.extend(flags);
        Replaced { server: Server::with(&arguments), file, number: 1, variant }
    }

    /// Replaces the file with the next variant by renaming. Returns when that was.
    pub fn rename(&mut self) -> Instant {
        self.number += 1;
        let new = self.file.with_extension("new");
        fs::write(&new, (self.variant)(self.number)).unwrap();
        let since = Instant::now();
        fs::rename(new, &self.file).unwrap();
        since
    }

    /// Asks until the newest variant answers.
    pub fn wait(&self, client: &mut Client) {
        let (newest, since) = (self.number.to_string(), Instant::now());
        while client.ask("GET", "/route").field("x-handler-version") != Some(&newest) {
            assert!(since.elapsed() < PATIENCE, "version {newest} does not come to serve");
            thread::sleep(ASK_INTERVAL);
        }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Returns a variant of the default handler, which differs in a custom section.
pub fn default_handler(number: u64) -> Vec<u8> {
    let mut module = host::site::version::EMBEDDED.to_vec();
    // A custom section: id 0, its size, and an empty name.
    module.extend([0, 9, 0]);
    module.extend(number.to_le_bytes());
    module
}
