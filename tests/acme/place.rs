//! Folder of a server that gets certificates by ACME, and the server in it.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Folder, Server, host, output_of};

/// Folder of a server.
pub struct Place {
    pub folder: Folder,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: Folder::new() }
    }

    /// Starts a server with these lines of a configuration.
    pub fn serve(&self, lines: &str) -> Server {
        self.write(lines);
        let mut command = host();
        command.current_dir(self.folder.file(""));
        Server::begin_as_it_is(command).until_ready()
    }

    pub fn write(&self, lines: &str) {
        fs::write(self.folder.file("host.toml"), lines).unwrap();
    }

    /// Runs a command to the server. Returns the exit code and everything that was printed.
    pub fn run_host(&self, line: &[&str]) -> (i32, String) {
        output_of(
            host()
                .args(line)
                .current_dir(self.folder.file(""))
                .env("HOST_CONTROL", self.folder.file("control")),
        )
    }

    /// Reloads the server with these lines.
    pub fn reload(&self, lines: &str) {
        self.write(lines);
        let (code, said) = self.run_host(&["reload"]);
        assert_eq!(code, 0, "{said}");
    }

    /// Returns the file of the certificate of a domain.
    pub fn file(&self, domain: &str) -> PathBuf {
        self.kept(&format!("{domain}.pem"))
    }

    /// Returns a file of the folder for the directory.
    pub fn kept(&self, name: &str) -> PathBuf {
        let entries = fs::read_dir(self.folder.file("acme")).unwrap();
        let below: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(below.len(), 1, "{below:?}");
        below[0].join(name)
    }
}
