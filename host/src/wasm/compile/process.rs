//! One compile process, as the server sees it: started ahead, given one job, and
//! ended at the latest when this is dropped. However it ends, the reason has a
//! name.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::job::{Answer, Compiled, Job, header, header_length};
use super::worker::ARGUMENT;
use crate::quote::quoted;
use crate::wasm::failure::MESSAGE_MAX;
use crate::wasm::inspect::Anatomy;
use crate::wasm::module::ModuleError;

/// How often a process that has closed its pipe is looked at until it has ended,
/// and how many times.
const END_INTERVAL: Duration = Duration::from_millis(1);
const END_LOOKS: usize = 1000;

/// What is said of a process that was ended by a signal meant for the server.
pub(super) const INTERRUPTED: &str = "it was ended by a signal that was sent to all processes of the server";

/// Most bytes of standard error that are read for the reason of a failure.
const REASON_MAX: u64 = 4096;

/// A process that waits for its job, or does it.
pub(super) struct Process {
    /// Until its end was waited for.
    child: Option<Child>,
}

/// What came of a job.
pub(super) enum Done {
    Compiled(Compiled),
    Inspected(Box<Anatomy>),
}

impl Process {
    /// Starts a process, which gets ready and waits.
    pub(super) fn start() -> io::Result<Process> {
        let mut command = Command::new(program()?);
        command.arg0("host").arg(ARGUMENT).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Process { child: Some(command.spawn()?) })
    }

    /// Returns this if it still waits for a job.
    pub(super) fn if_alive(mut self) -> Option<Process> {
        matches!(self.child.as_mut()?.try_wait(), Ok(None)).then_some(self)
    }

    /// Gives it a job, and waits for the answer. The process ends when this future
    /// is dropped.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, or why the compiler gave no answer.
    pub(super) async fn run(mut self, job: &Job, file: &[u8], code_max: usize) -> Result<Done, ModuleError> {
        let pipes = self.child.as_mut().and_then(|child| child.stdin.take().zip(child.stdout.take()));
        let (input, output) = pipes.ok_or_else(|| ModuleError::Compiler("its pipes are gone".into()))?;
        let pipes = ChildStdin::from_std(input).and_then(|i| Ok((i, ChildStdout::from_std(output)?)));
        let (mut input, mut output) = pipes.map_err(|error| ModuleError::Compiler(error.to_string()))?;
        // A process that ends while it is written to has said why.
        let _ = send(&mut input, job, file).await;
        let answer = receive(&mut output, code_max).await;
        match answer {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(self.reason(job, &error).await),
        }
    }

    /// Names the end of a process that did not answer.
    async fn reason(&mut self, job: &Job, error: &io::Error) -> ModuleError {
        for _ in 0..END_LOOKS {
            let Some(child) = &mut self.child else {
                break;
            };
            match child.try_wait() {
                Ok(None) => sleep(END_INTERVAL).await,
                Ok(Some(status)) => {
                    let said = said(child.stderr.take());
                    self.child = None;
                    return explain(status, &said, job);
                }
                Err(_) => break,
            }
        }
        ModuleError::Compiler(format!("its answer cannot be read: {error}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = child.kill();
        // A process of idle priority may take a while to end on busy processors.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                while let Ok(None) = child.try_wait() {
                    sleep(END_INTERVAL).await;
                }
            })),
            Err(_) => drop(child.wait()),
        }
    }
}

/// This program, as the file that it was started from, also when that was
/// replaced or removed since.
fn program() -> io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() { Ok(own) } else { env::current_exe() }
}

async fn send(input: &mut ChildStdin, job: &Job, file: &[u8]) -> io::Result<()> {
    input.write_all(&header(job)?).await?;
    input.write_all(file).await
}

/// The outer error is that of a process that gave no answer.
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
        Answer::Compiled { put_back, code, data } => {
            let code = read(output, code).await?;
            let data = read(output, data).await?;
            Ok(Done::Compiled(Compiled { put_back, code, data }))
        }
    })
}

async fn read(output: &mut ChildStdout, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    output.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// The beginning of what a process that has ended wrote to standard error.
fn said(stderr: Option<ChildStderr>) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = stderr {
        let _ = stderr.take(REASON_MAX).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn explain(status: ExitStatus, said: &str, job: &Job) -> ModuleError {
    // Without a message, the way in which the process ended is all that is known.
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    match status.signal() {
        Some(libc::SIGXCPU) => ModuleError::CompileTime { limit: Duration::from_secs(job.cpu_seconds) },
        _ if is_for_want_of_memory(said) => ModuleError::CompileMemory { limit: job.memory_max },
        // Sent to all processes of the server just when this one had begun.
        Some(libc::SIGHUP | libc::SIGINT | libc::SIGTERM) => ModuleError::Compiler(INTERRUPTED.into()),
        // The kernel ends a process so when a cgroup or the machine is full.
        Some(libc::SIGKILL) => ModuleError::CompilerKilled { limit: job.memory_max },
        Some(signal) => {
            ModuleError::Compiler(format!("it ended by signal {signal}: {}", quoted(line, MESSAGE_MAX)))
        }
        None => ModuleError::Compiler(format!("it ended early: {}", quoted(line, MESSAGE_MAX))),
    }
}

/// By the words of Rust's allocator, and of the system's errors.
fn is_for_want_of_memory(said: &str) -> bool {
    ["memory allocation of", "Cannot allocate memory", "out of memory"]
        .iter()
        .any(|words| said.contains(words))
}
