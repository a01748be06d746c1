//! Server with a configuration file in a folder of its own.

use std::fs;
use std::process::Command;

use super::{Folder, Server, host, output_of};

pub struct Configured {
    pub folder: Folder,
    pub server: Server,
}

impl Configured {
    /// Starts a server in a folder, with a configuration file that has these lines.
    pub fn start(folder: Folder, lines: &str) -> Configured {
        Configured::spawn(host(), folder, lines)
    }

    /// Starts a server in a folder with a command that runs the program, and with a configuration
    /// file that has these lines.
    pub fn spawn(mut command: Command, folder: Folder, lines: &str) -> Configured {
        write(&folder, lines);
        command.current_dir(folder.file(""));
        let server = Server::begin_as_it_is(command).until_ready();
        Configured { folder, server }
    }

    /// Stops the server, and starts it again with the same configuration.
    pub fn restart(self) -> Configured {
        let Configured { folder, server } = self;
        server.stop();
        let mut command = host();
        command.current_dir(folder.file(""));
        Configured { server: Server::begin_as_it_is(command).until_ready(), folder }
    }

    /// Replaces the lines of the configuration file.
    pub fn write(&self, lines: &str) {
        write(&self.folder, lines);
    }

    /// Runs the program with arguments that make it send a command to the server. Returns the exit
    /// code and everything that was printed.
    pub fn run(&self, line: &[&str]) -> (i32, String) {
        let mut command = host();
        command.args(line).current_dir(self.folder.file(""));
        output_of(command.env("HOST_CONTROL", self.folder.file("control")))
    }

    /// Replaces the lines of the configuration file, and makes the server reload it. Returns the
    /// exit code and everything that was printed.
    pub fn reload(&self, lines: &str) -> (i32, String) {
        self.write(lines);
        self.run(&["reload"])
    }
}

fn write(folder: &Folder, lines: &str) {
    let text = format!("listen = '127.0.0.1:0'\ncontrol = 'control'\n{lines}");
    fs::write(folder.file("host.toml"), text).unwrap();
}
