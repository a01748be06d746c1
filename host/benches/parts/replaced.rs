//! A server whose module file is replaced repeatedly.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Folder, Server};

/// Pause between two requests while waiting for the newest version. It is short compared with what
/// is measured, and long enough to leave the server idle.
const ASK_INTERVAL: Duration = Duration::from_millis(1);

/// Maximum wait until a new version serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Name of the module file.
const FILE: &str = "handler.wasm";

/// A server and its module file. `variant` returns the module for a version, given the number of
/// the version.
pub struct Replaced {
    pub server: Server,
    folder: Folder,
    number: u64,
    variant: fn(u64) -> Vec<u8>,
}

impl Replaced {
    /// Starts a server with these flags, whose module file is `variant(1)`.
    pub fn start(variant: fn(u64) -> Vec<u8>, flags: &[&str]) -> Replaced {
        let folder = Folder::new();
        let file = folder.file(FILE);
        fs::write(&file, variant(1)).unwrap();
        let arguments = [&[file.to_str().unwrap(), "--log-level", "off"], flags].concat();
        Replaced { server: Server::with(&arguments), folder, number: 1, variant }
    }

    /// Replaces the module file with the module of the next version, by renaming a new file to its
    /// name. Returns the time just before the rename.
    pub fn rename(&mut self) -> Instant {
        self.number += 1;
        let new = self.folder.file("new");
        fs::write(&new, (self.variant)(self.number)).unwrap();
        let since = Instant::now();
        fs::rename(new, self.folder.file(FILE)).unwrap();
        since
    }

    /// Replaces the module file with the module of the next version, and sends SIGHUP to the
    /// server. The signal makes the server read the file even if it does not watch the file.
    pub fn replace(&mut self) {
        self.rename();
        self.server.signal("HUP");
    }

    /// Sends requests until the newest version answers one.
    pub fn wait(&self, client: &mut Client) {
        let (newest, since) = (self.number.to_string(), Instant::now());
        while client.ask("GET", "/route").field("x-handler-version") != Some(&newest) {
            assert!(since.elapsed() < PATIENCE, "version {newest} does not come to serve");
            thread::sleep(ASK_INTERVAL);
        }
    }
}

/// Returns the default handler with a custom section that contains the number, so that each number
/// gives a different module.
pub fn default_handler(number: u64) -> Vec<u8> {
    let mut module = host::site::version::EMBEDDED.to_vec();
    // A custom section: id 0, its size, and an empty name.
    module.extend([0, 9, 0]);
    module.extend(number.to_le_bytes());
    module
}
