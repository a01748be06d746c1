//! Programs that stand beside the host, where they are installed.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that runs until this is dropped.
pub struct Program(pub Child);

impl Program {
    /// Starts it; or says that it is not installed, and which bench goes without.
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

    /// Waits until it listens.
    pub fn listens_on(mut self, address: SocketAddr) -> Program {
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.0.try_wait().unwrap();
            assert_eq!(ended, None, "it ended instead of listening on {address}");
            assert!(since.elapsed() < PATIENCE, "it does not listen on {address}");
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What has ended and was not waited for yet keeps its id, so this is
        // nobody else's. One with children ends them when it is asked to end.
        if let Ok(None) = self.0.try_wait() {
            let _ = Command::new("kill").arg(self.0.id().to_string()).status();
            let _ = self.0.wait();
        }
    }
}

/// Whether a program is there; where it is not, a line says which bench goes
/// without.
pub fn is_installed(name: &str, version_flag: &str, without: &str) -> bool {
    let mut command = Command::new(name);
    let quiet =
        command.arg(version_flag).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    Program::start(quiet, without).is_some_and(|mut program| program.0.wait().is_ok())
}

/// An address of this machine that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
