//! The compile process: reads one job from standard input, answers on standard output,
//! and exits.
//!
//! The process has no open descriptors but its three pipes, and can open neither files
//! nor sockets. Its memory and CPU time are limited before it reads the first byte of
//! the module. If a cgroup runs out of memory, the kernel kills this process before
//! the server. The process exits at once when the server exits or closes the pipe.

#![allow(unsafe_code, reason = "closes descriptors by number, and ignores signals")]

use std::env;
use std::io::{self, Read, Write};
use std::process::{ExitCode, exit};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::compile::job::{Answer, Compiled, Effort, Job, Priority, Work, header, read_bytes, read_header};
use crate::compile::pipeline::{self, Compiler};
use crate::inspect::inspect;

/// The command-line argument that makes this program a compile process.
pub const ARGUMENT: &str = "__compile";

/// The second argument of a compile process that warms up while it waits for a job.
pub(super) const WARM_UP: &str = "warm-up";

/// Value that is added to the nice value for a job that a swap or a command waits for. On a core
/// that a serving thread wants too, a compiling thread then gets a quarter of the time.
const NICE_AWAITED: i32 = 5;

/// Maximum length in bytes of a file that is compiled on all cores. A longer file would slow
/// requests for too long, so half of the cores are left to them.
pub const ON_ALL_CORES: usize = 512 << 10;

/// Value that is added to the nice value for work that nothing waits for. The policy SCHED_IDLE
/// would take even less time from other threads, but delay them: Linux treats a core that runs such
/// a thread as idle and wakes other threads there. Since Linux 6.13 these may wait for the kernel's
/// next tick (4 ms).
const NICE_IDLE: i32 = 19;

/// Stack size of the watchdog thread in bytes.
const STACK: usize = 256 << 10;

/// Does one job and returns the exit code. Writes errors to standard error, which the
/// server reads. If the process is to warm up, compiles `module` first, so that the
/// process has its memory and the compiler's code mapped before the job arrives.
pub fn run(module: &[u8]) -> ExitCode {
    match work(module) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn work(module: &[u8]) -> io::Result<()> {
    close_inherited_descriptors();
    prefer_for_oom_kill();
    // Created before the job arrives, while nothing waits.
    let quick = Compiler::new(Effort::Quick).map_err(io::Error::other)?;
    // Read before files can no longer be opened: the cgroup's limit is in a file.
    let count = pipeline::threads_at_once();
    ignore_signals_of_the_server();
    drop_abilities();
    // Threads inherit the nice value of the thread that starts them. A job of idle
    // priority raises it further and starts new threads.
    raise_nice(NICE_AWAITED);
    let threads = pipeline::threads(count).map_err(io::Error::other)?;
    if env::args_os().nth(2).is_some_and(|argument| argument == WARM_UP) {
        let _ = quick.compile(module, &threads);
    }

    let mut input = io::stdin().lock();
    let job: Job = match read_header(&mut input) {
        // The server closed the pipe without a job.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        job => job?,
    };
    // Limits private writable memory, thread stacks included.
    limit(Resource::Data, job.memory_max as u64)?;
    // The hard limit is one second above the soft one. If both were equal, the kernel
    // would not send SIGXCPU but SIGKILL, which looks like a lack of memory.
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
                    raise_nice(NICE_IDLE);
                    pipeline::threads(1)
                }
            };
            let compiled = threads.and_then(|threads| match effort {
                Effort::Quick => quick.compile(&file, &threads),
                Effort::Thorough => Compiler::new(Effort::Thorough)?.compile(&file, &threads),
            });
            match compiled {
                Ok(Compiled { kind, reset, code, data }) => {
                    (Answer::Compiled { kind, reset, code: code.len(), data: data.len() }, code, data)
                }
                Err(error) => (Answer::Refused(error), Vec::new(), Vec::new()),
            }
        }
    };
    let mut output = io::stdout().lock();
    output.write_all(&header(&answer)?)?;
    output.write_all(&code)?;
    output.write_all(&data)?;
    output.flush()?;
    // Exits without dropping anything: the kernel frees memory faster.
    exit(0)
}

/// Waits until the server closes the other end of standard input, and exits: the server
/// has exited, or no longer wants the answer.
fn end_with_server() {
    let mut byte = [0];
    while matches!(io::stdin().read(&mut byte), Err(error) if error.kind() == io::ErrorKind::Interrupted) {}
    exit(1)
}

/// Closes descriptors that the server itself inherited, such as passed sockets.
fn close_inherited_descriptors() {
    // SAFETY: this process has just started, has one thread, and has opened nothing yet,
    // so no value owns one of these descriptors.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
}

/// Makes the kernel kill this process first when memory runs out. By default it kills
/// the largest process, which may be the server.
fn prefer_for_oom_kill() {
    // The file exists on Linux only.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Ignores the signals to reload or stop, which a service manager or a terminal sends to
/// all processes of the server. This process exits when the server does.
fn ignore_signals_of_the_server() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: SIG_IGN installs no handler, so no code runs in signal context.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Gives up what compiling does not need: opening descriptors, writing files, and core
/// dumps. A core dump would contain the module.
fn drop_abilities() {
    for resource in [Resource::Nofile, Resource::Fsize, Resource::Core] {
        let _ = limit(resource, 0);
    }
}

/// Lowers the soft and the hard limit of a resource to `most`. Neither can be raised again.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Adds to the nice value of this thread and of the threads that it starts.
fn raise_nice(increment: i32) {
    // If the system refuses, the priority stays.
    let _ = rustix::process::nice(increment);
}
