//! One compile process from the server's side. It is started before there is a job,
//! gets one job, and is killed at the latest on drop. Every way in which a process can
//! end is mapped to an error.

use std::env;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use host_http::quote::quoted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::compile::job::{Answer, Compiled, Job, header, header_length};
use crate::compile::worker::{ARGUMENT, WARM_UP};
use crate::inspect::Anatomy;
use crate::module_error::ModuleError;
use crate::name::MESSAGE_MAX;

/// Maximum wait for the end of a process that was killed or has closed its pipe.
const END_WAIT: Duration = Duration::from_secs(1);

/// Error of a process that was ended by a signal meant for the server.
pub(super) const INTERRUPTED: &str = "it was ended by a signal that was sent to all processes of the server";

/// Maximum number of bytes of standard error that are read to find the cause of a failure.
const REASON_MAX: u64 = 4096;

/// Process that waits for a job or runs it. Killed on drop.
pub(super) struct Process(Child);

/// The result of a job.
pub(super) enum Done {
    Compiled(Compiled),
    Inspected(Box<Anatomy>),
}

impl Process {
    /// Starts a process, which prepares itself and waits for a job. With `warm_up`, it
    /// compiles a module meanwhile, so that the compiler's code and memory are mapped.
    pub(super) fn start(warm_up: bool) -> io::Result<Process> {
        let mut command = Command::new(program()?);
        command.arg0("host").arg(ARGUMENT).env_clear().current_dir("/").process_group(0);
        if warm_up {
            command.arg(WARM_UP);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Process(command.kill_on_drop(true).spawn()?))
    }

    /// Returns this process if it is still running.
    pub(super) fn if_alive(mut self) -> Option<Process> {
        matches!(self.0.try_wait(), Ok(None)).then_some(self)
    }

    /// Sends a job and waits for the answer.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file, or why the compiler gave no answer.
    pub(super) async fn run(&mut self, job: &Job, file: &[u8], code_max: usize) -> Result<Done, ModuleError> {
        let pipes = self.0.stdin.take().zip(self.0.stdout.take());
        let (mut input, mut output) =
            pipes.ok_or_else(|| ModuleError::Compiler("its pipes were taken before".into()))?;
        // If the process ends during the write, its answer or its end says why.
        let _ = send(&mut input, job, file).await;
        match receive(&mut output, code_max).await {
            Ok(answer) => answer,
            Err(error) => Err(self.reason(job, &error).await),
        }
    }

    /// Kills the process, and waits until the kernel has freed its memory.
    pub(super) async fn end(mut self) {
        let _ = timeout(END_WAIT, self.0.kill()).await;
    }

    /// Waits for the end of a process that gave no answer, and returns the cause as an error.
    async fn reason(&mut self, job: &Job, error: &io::Error) -> ModuleError {
        match timeout(END_WAIT, self.0.wait()).await {
            Ok(Ok(status)) => explain(status, &message(self.0.stderr.take()).await, job),
            _ => ModuleError::Compiler(format!("its answer cannot be read: {error}")),
        }
    }
}

/// Returns the path of this program's file. On Linux this is the file that the program
/// was started from, even if it was replaced or removed since.
fn program() -> io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() { Ok(own) } else { env::current_exe() }
}

async fn send(input: &mut ChildStdin, job: &Job, file: &[u8]) -> io::Result<()> {
    input.write_all(&header(job)?).await?;
    input.write_all(file).await
}

/// Reads the answer. The outer error means that the process gave none.
async fn receive(output: &mut ChildStdout, code_max: usize) -> io::Result<Result<Done, ModuleError>> {
    let mut length = [0; 8];
    output.read_exact(&mut length).await?;
    let json = read(output, header_length(length)?).await?;
    Ok(match serde_json::from_slice(&json)? {
        Answer::Refused(error) => Err(error),
        Answer::Inspected(anatomy) => Ok(Done::Inspected(anatomy)),
        Answer::Compiled { code, data, .. } if code.saturating_add(data) > code_max => {
            Err(ModuleError::CodeTooLarge { size: code.saturating_add(data), limit: code_max })
        }
        Answer::Compiled { kind, reset, code, data } => {
            let code = read(output, code).await?;
            let data = read(output, data).await?;
            Ok(Done::Compiled(Compiled { kind, reset, code, data }))
        }
    })
}

async fn read(output: &mut ChildStdout, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    output.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// Returns the beginning of what an ended process wrote to standard error.
async fn message(stderr: Option<ChildStderr>) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = stderr {
        let _ = stderr.take(REASON_MAX).read_to_end(&mut text).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn explain(status: ExitStatus, message: &str, job: &Job) -> ModuleError {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    match status.signal() {
        Some(libc::SIGXCPU) => ModuleError::CompileTime { limit: Duration::from_secs(job.cpu_seconds) },
        _ if is_out_of_memory(message) => ModuleError::CompileMemory { limit: job.memory_max },
        // Sent to all processes of the server, before this one could ignore it.
        Some(libc::SIGHUP | libc::SIGINT | libc::SIGTERM) => ModuleError::Compiler(INTERRUPTED.into()),
        // Sent by the kernel when a cgroup or the machine runs out of memory.
        Some(libc::SIGKILL) => ModuleError::CompilerKilled { limit: job.memory_max },
        Some(signal) => {
            ModuleError::Compiler(format!("it ended by signal {signal}: {}", quoted(line, MESSAGE_MAX)))
        }
        None => ModuleError::Compiler(format!("it ended early: {}", quoted(line, MESSAGE_MAX))),
    }
}

/// Returns whether an error message of a process reports a lack of memory, in the words of Rust's
/// allocator or of the system.
fn is_out_of_memory(message: &str) -> bool {
    ["memory allocation of", "Cannot allocate memory", "out of memory"]
        .iter()
        .any(|words| message.contains(words))
}
