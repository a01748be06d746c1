//! The child process: it takes one job from standard input, answers on standard
//! output, and ends.
//!
//! It keeps no descriptor but its three pipes and can open none: no file, no
//! socket. Its memory and processor time are bounded before it reads a byte of
//! the module, and when memory runs out in a cgroup, the kernel takes it before
//! the server. It ends at once when the server ends or closes the pipe.

#![allow(unsafe_code, reason = "descriptors are closed by number, and signals are ignored")]

use std::io::{self, Read, Write};
use std::process::{ExitCode, exit};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::compile::job::{
    Answer, Compiled, Effort, Job, Priority, Work, read_bytes, read_header, write_header,
};
use crate::compile::pipeline;
use crate::inspect::inspect;
use crate::module::ModuleError;

/// The argument that makes this program a compile process.
pub const ARGUMENT: &str = "__compile";

/// Added to the nice value while a swap or a command waits. A thread gets a quarter of a core
/// that a serving one wants too.
const NICE_AWAITED: i32 = 5;

/// Longest file that is compiled on all cores, in bytes. A longer one takes so
/// long that requests would notice, and leaves them half of the cores.
const ON_ALL_CORES: usize = 512 << 10;

/// Added to the nice value for work that nothing waits for. The idle policy would
/// leave others still more time, and delay them: Linux wakes threads on a core that
/// runs at that policy as if nothing ran there, and since 6.13 they may wait for
/// its next tick (4 ms).
const NICE_IDLE: i32 = 19;

/// Stack of a thread beside those that compile, in bytes.
const STACK: usize = 256 << 10;

/// Does one job, and returns the process's exit code. A failure is told on
/// standard error, which the server reads.
pub fn run() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> io::Result<()> {
    close_inherited_descriptors();
    prefer_as_victim();
    // Made ahead of the job, while nothing waits for it.
    let quick = pipeline::engine(Effort::Quick).map_err(io::Error::other)?;
    // A process that can open nothing does not learn what its cgroup allows.
    let count = pipeline::threads_at_once();
    ignore_signals_of_the_server();
    renounce();
    // Threads inherit the priority of the one that starts them. Work of idle
    // priority lowers it further, and starts its own.
    be_nicer(NICE_AWAITED);
    let threads = pipeline::threads(count).map_err(io::Error::other)?;

    let mut input = io::stdin().lock();
    let job: Job = match read_header(&mut input) {
        // The server has ended without a job for this process.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        job => job?,
    };
    // Private memory that can be written to, thread stacks included.
    limit(Resource::Data, job.memory_max as u64)?;
    // One second between the signal that says so and the one that ends it: with
    // none, the kernel sends the second alone, which lack of memory sends too.
    limit(Resource::Cpu, job.cpu_seconds + 1)?;
    let cpu = getrlimit(Resource::Cpu).maximum;
    setrlimit(Resource::Cpu, Rlimit { current: Some(job.cpu_seconds), maximum: cpu })?;
    let file = read_bytes(&mut input, job.file)?;
    drop(input);
    thread::Builder::new().name("watchdog".into()).stack_size(STACK).spawn(end_with_server)?;

    let (answer, code, data) = match job.work {
        Work::Inspect => (Answer::Inspected(Box::new(inspect(&file))), Vec::new(), Vec::new()),
        Work::Compile { effort, priority } => {
            let threads = match priority {
                Priority::Awaited if file.len() <= ON_ALL_CORES => Ok(threads),
                Priority::Awaited => pipeline::threads(count.div_ceil(2)),
                Priority::Idle => {
                    be_nicer(NICE_IDLE);
                    pipeline::threads(1)
                }
            };
            let compiled = threads.and_then(|threads| match effort {
                Effort::Quick => pipeline::compile(&file, &quick, &threads),
                Effort::Thorough => match pipeline::engine(Effort::Thorough) {
                    Ok(engine) => pipeline::compile(&file, &engine, &threads),
                    Err(error) => Err(ModuleError::Compiler(error.to_string())),
                },
            });
            match compiled {
                Ok(Compiled { put_back, code, data }) => {
                    (Answer::Compiled { put_back, code: code.len(), data: data.len() }, code, data)
                }
                Err(error) => (Answer::Refused(error), Vec::new(), Vec::new()),
            }
        }
    };
    let mut output = io::stdout().lock();
    write_header(&mut output, &answer)?;
    output.write_all(&code)?;
    output.write_all(&data)?;
    output.flush()?;
    // Nothing is left to be freed in order: the kernel is faster.
    exit(0)
}

/// Ends this process when the server closes the other end of standard input:
/// it has ended, or does not want the answer any more.
fn end_with_server() {
    let mut byte = [0];
    while matches!(io::stdin().read(&mut byte), Err(error) if error.kind() == io::ErrorKind::Interrupted) {}
    exit(1)
}

/// Closes what the server itself has inherited open, such as sockets that were
/// handed over to it.
fn close_inherited_descriptors() {
    // SAFETY: this process has only begun, on one thread, and has opened nothing
    // yet, so nothing in it believes to own one of these descriptors.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
}

/// Tells the kernel to take this process first when memory runs out. Without
/// this the largest goes, which may be the server.
fn prefer_as_victim() {
    // Not everywhere is there such a file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Ignores what is meant for the server and sent to all of its cgroup or terminal:
/// to read its file again, or to end after the requests in flight. This process
/// ends with the server.
fn ignore_signals_of_the_server() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no handler runs; the signal is ignored from here on.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Gives up what compiling does not need: opening anything, writing files,
/// leaving a core dump of a module behind.
fn renounce() {
    for resource in [Resource::Nofile, Resource::Fsize, Resource::Core] {
        let _ = limit(resource, 0);
    }
}

/// Lowers a limit of this process for good.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Lowers the priority of this thread, and of those that it starts, from what the
/// server has.
fn be_nicer(increment: i32) {
    // Where that is not allowed, the priority stays.
    let _ = rustix::process::nice(increment);
}
