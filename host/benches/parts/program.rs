//! Runs other programs if they are installed.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

/// A running program, which is ended when this value is dropped.
pub struct Program(pub Child);

impl Program {
    /// Starts a program. If the program is not installed, prints `without`, which says what the
    /// bench leaves out, and returns None.
    pub fn start(command: &mut Command, without: &str) -> Option<Program> {
        match command.spawn() {
            Ok(child) => Some(Program(child)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("{} is not installed: {without}", command.get_program().display());
                None
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A process keeps its id until it is waited for, so no other process has the id.
        // SIGTERM, unlike SIGKILL, lets a program end its children.
        if let Ok(None) = self.0.try_wait() {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}

/// Returns whether a program is installed. If not, prints `without`, which says what the bench
/// leaves out.
pub fn is_installed(name: &str, version_flag: &str, without: &str) -> bool {
    let mut command = Command::new(name);
    let quiet = command.arg(version_flag).stdout(Stdio::null()).stderr(Stdio::null());
    Program::start(quiet, without).is_some_and(|mut program| program.0.wait().is_ok())
}

/// Returns a local address with a free port.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
