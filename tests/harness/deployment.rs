//! Folder with the files of a server that a test may restart: its module, its state and its
//! control socket.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Folder, Server, host, output_of};

pub struct Deployment {
    pub folder: Folder,
    uploads: AtomicU32,
}

impl Deployment {
    pub fn new() -> Deployment {
        Deployment { folder: Folder::new(), uploads: AtomicU32::new(0) }
    }

    /// Creates a deployment whose module file has these bytes.
    pub fn of(module: impl AsRef<[u8]>) -> Deployment {
        let deployment = Deployment::new();
        fs::write(deployment.file(), module).unwrap();
        deployment
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path(name)
    }

    /// Returns the path of the module file, whether it exists or not.
    pub fn file(&self) -> PathBuf {
        self.folder.file("handler.wasm")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.file("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.file("control")
    }

    /// Returns the arguments of the server. They name the module file if it exists.
    pub fn arguments(&self, more: &[&str]) -> Vec<String> {
        let file = self.file().exists().then(|| self.path("handler.wasm"));
        let own = [format!("--state-dir={}", self.path("state")), "--control".into(), self.path("control")];
        file.into_iter().chain(own).chain(more.iter().map(|&flag| flag.to_owned())).collect()
    }

    pub fn start(&self, more: &[&str]) -> Server {
        self.spawn(host(), more)
    }

    /// Starts the server with a command that runs the program, and with further arguments.
    pub fn spawn(&self, command: Command, more: &[&str]) -> Server {
        Server::spawn(command, &self.arguments(more))
    }

    /// Returns a [`Command`] that runs the program with these arguments, to control the running
    /// server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = host();
        command.args(arguments).arg("--control").arg(self.socket());
        command
    }

    /// Runs the program with these arguments, to control the running server. Returns everything
    /// that was printed.
    pub fn tell(&self, arguments: &[&str]) -> String {
        output_of(&mut self.command(arguments)).1
    }

    /// Returns a [`Command`] that swaps the running server to a module.
    pub fn swap_command(&self, module: impl AsRef<[u8]>) -> Command {
        let file = self.path(&format!("upload-{}", self.uploads.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, module).unwrap();
        self.command(&["swap", &file])
    }

    /// Swaps to a module, and returns everything that was printed. The swap is saved when
    /// this returns.
    pub fn swap(&self, module: impl AsRef<[u8]>) -> String {
        output_of(&mut self.swap_command(module)).1
    }

    /// Swaps to a module, and checks that it serves as version `number`.
    #[track_caller]
    pub fn serves(&self, module: impl AsRef<[u8]>, number: u64) {
        let printed = self.swap(module);
        assert!(printed.starts_with(&format!("serving version {number}")), "{printed}");
    }

    /// Starts a swap without waiting for its end.
    pub fn begin_swap(&self, module: impl AsRef<[u8]>) -> Child {
        self.swap_command(module).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Returns the path at which the server saves a module.
    pub fn saved(&self, module: impl AsRef<[u8]>) -> PathBuf {
        self.state().join(format!("{}.module", host::site::version::hash(module.as_ref())))
    }

    /// Returns the names of all entries in the state folder, sorted.
    pub fn state_names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Returns the names of temporary files in the state folder, including those with an ending that
    /// only earlier releases used.
    pub fn litter(&self) -> Vec<String> {
        let mut names = self.state_names();
        names.retain(|name| name.ends_with(".tmp") || name.ends_with(".new"));
        names
    }
}
