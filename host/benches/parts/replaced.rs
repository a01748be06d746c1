//! A server whose file is replaced again and again.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Server, scratch};

/// How long it is between two questions for the newest version: short against
/// what is measured, and long enough to leave the server idle.
const ASK_INTERVAL: Duration = Duration::from_millis(1);

/// How long a new version may take: far longer than one ever does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, its file, and how many variants of it there were. Their numbers
/// are those that the server gives its versions.
pub struct Replaced {
    pub server: Server,
    file: PathBuf,
    pub number: u64,
    variant: fn(u64) -> Vec<u8>,
}

impl Replaced {
    /// Starts with the first variant. The name is of the file, and nobody else's.
    pub fn start(name: &str, variant: fn(u64) -> Vec<u8>, flags: &[&str]) -> Replaced {
        let file = scratch().join(format!("{name}-{}.wasm", std::process::id()));
        fs::write(&file, variant(1)).unwrap();
        let mut arguments = vec![file.to_str().unwrap(), "--log-level", "off"];
        arguments.extend(flags);
        Replaced { server: Server::with(&arguments), file, number: 1, variant }
    }

    /// Puts another variant in place by renaming, and returns when that was.
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

/// The default handler, of which there can be as many different ones as needed:
/// they differ in a custom section.
pub fn default_handler(number: u64) -> Vec<u8> {
    let mut module = host::swap::EMBEDDED.to_vec();
    // A custom section: id 0, its size, and in it a name of no bytes.
    module.extend([0, 9, 0]);
    module.extend(number.to_le_bytes());
    module
}
