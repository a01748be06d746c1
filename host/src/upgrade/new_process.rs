//! The new process of an upgrade, as a child of the old process, which starts it, waits for its
//! messages, and ends it if it fails.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::files::own_file;
use crate::upgrade::program::Program;
use crate::upgrade::takeover::VARIABLE;
use crate::upgrade::wire::{self, Message};

/// Interval at which the old process checks whether the new process has exited.
const END_INTERVAL: Duration = Duration::from_millis(5);

/// Environment variables that the new process does not inherit: systemd set them for the old
/// process, to name the sockets that it passed and the process id that its watchdog expects.
const OWN_VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// New process of an upgrade. Dropping this kills the process, unless [`NewProcess::release`] was
/// called.
pub(super) struct NewProcess {
    child: Option<Child>,
    pub(super) socket: UnixStream,
    program: String,
    until: Instant,
    /// Error text for the case that the new process is too slow: what it has not done, and within
    /// which time.
    late: String,
}

impl NewProcess {
    pub(super) fn start(program: &Program, until: Instant, timeout: Duration) -> anyhow::Result<NewProcess> {
        let (socket, other) = UnixStream::pair().context("cannot make a pair of sockets")?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(VARIABLE, std::process::id().to_string());
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        let shown = program.path.display().to_string();
        let child = command.stdin(Stdio::from(OwnedFd::from(other))).spawn();
        let child = child.with_context(|| format!("cannot start {shown}"))?;
        let late = format!("did not get ready within {timeout:?} (--upgrade-timeout)");
        let new = NewProcess { child: Some(child), socket, program: shown, until, late };
        new.socket.set_write_timeout(Some(new.left()))?;
        Ok(new)
    }

    /// Sets a new time limit, counted from now: the new process is ready, and has to serve within
    /// `time`.
    pub(super) fn has_to_serve_within(&mut self, time: Duration) {
        self.until = Instant::now() + time;
        self.late = format!("did not serve within {time:?} after it was ready");
    }

    /// Returns the time until the limit, at least 1 ms.
    fn left(&self) -> Duration {
        // A timeout of zero would be none.
        self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    pub(super) fn wait_for(&mut self, expected: &Message) -> anyhow::Result<()> {
        self.socket.set_read_timeout(Some(self.left()))?;
        let received = wire::receive(&self.socket);
        let message = self.told(received.map_err(Into::into))?;
        if let Message::Failed { cause } = message {
            self.end();
            bail!("{} cannot take over: {}", self.program, cause.replace('\n', "; "));
        }
        if std::mem::discriminant(&message) != std::mem::discriminant(expected) {
            bail!("{} sent an unexpected message: {message:?}", self.program);
        }
        Ok(())
    }

    /// Converts an error of sending to or receiving from the new process to one that says why: the
    /// process was too slow, or has exited.
    pub(super) fn told<T>(&mut self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        result.map_err(|error| {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            let shown = self.program.clone();
            match kind {
                Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    anyhow!("{shown} {}, and was ended", self.late)
                }
                Some(
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset,
                ) => {
                    let end = self.end().map_or("for an unknown reason".into(), |status| status.to_string());
                    anyhow!("{shown} ended before it served ({end}); its standard error, which is that of this server, may say why")
                }
                _ => error.context(format!("cannot hand over to {shown}")),
            }
        })
    }

    /// Waits briefly for the new process to exit by itself, and kills it if it does not. Returns
    /// the exit status; [`None`] if it is unknown, or the process was ended or released before.
    pub(super) fn end(&mut self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.take()?;
        // One that has closed its end is about to exit by itself.
        let until = Instant::now() + own_file::LOCK_TIMEOUT;
        while Instant::now() < until {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            sleep(END_INTERVAL);
        }
        let _ = child.kill();
        child.wait().ok()
    }

    /// Leaves the new process running when this is dropped, and returns its process id.
    pub(super) fn release(&mut self) -> u32 {
        self.child.take().map_or(0, |child| child.id())
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
