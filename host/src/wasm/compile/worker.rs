//! The child process: it takes one job from standard input, answers on standard
//! output, and ends.
//!
//! It keeps no descriptor but its three pipes and can open none: no file, no
//! socket. Its memory and processor time are bounded before it reads a byte of
//! the module, and when memory runs out in a cgroup, the kernel takes it before
//! the server. It ends at once when the server ends or closes the pipe.

#![allow(unsafe_code, reason = "descriptors are closed by number, and a thread asks for the idle policy")]

use std::io::{self, Read, Write};
use std::process::{ExitCode, exit};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

use super::job::{Answer, Compiled, Effort, Job, Priority, Work, read_bytes, read_header, write_header};
use super::pipeline;
use crate::wasm::inspect::inspect;
use crate::wasm::module::ModuleError;

/// The argument that makes this program a compile process.
pub const ARGUMENT: &str = "__compile";

/// The argument behind it of a process that warms up while it waits.
pub(super) const WARM: &str = "warm";

/// Nice value while a swap or a command waits. A thread gets a quarter of a core
/// that a serving one wants too.
const NICE_AWAITED: i32 = 5;

/// Nice value of what nobody waits for.
const NICE_IDLE: i32 = 19;

/// Stack of a thread beside those that compile, in bytes.
const STACK: usize = 256 << 10;

/// Does one job, and returns the process's exit code. A failure is told on
/// standard error, which the server reads. A process that is to be warm compiles
/// `sample` first: the first module that a process compiles takes twice as long
/// as the second.
pub fn run(sample: &'static [u8]) -> ExitCode {
    let warm = std::env::args_os().nth(2).is_some_and(|argument| argument == WARM);
    match work(warm.then_some(sample)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn work(sample: Option<&'static [u8]>) -> io::Result<()> {
    close_inherited_descriptors();
    prefer_as_victim();
    // Made ahead of the job, as long as nobody waits.
    let quick = pipeline::engine(Effort::Quick).map_err(io::Error::other)?;
    renounce();
    if let Some(sample) = sample {
        let quick = quick.clone();
        let warm_up = move || {
            let _ = be_nice(NICE_IDLE);
            let _ = pipeline::threads(1).and_then(|threads| pipeline::compile(sample, &quick, &threads));
        };
        thread::Builder::new().name("warm-up".into()).stack_size(STACK).spawn(warm_up)?;
    }

    let mut input = io::stdin().lock();
    let job: Job = match read_header(&mut input) {
        // The server has ended without a job for this process.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        job => job?,
    };
    // Private memory that can be written to, thread stacks included.
    limit(Resource::Data, job.memory_max as u64)?;
    limit(Resource::Cpu, job.cpu_seconds)?;
    let file = read_bytes(&mut input, job.file)?;
    drop(input);
    thread::Builder::new().name("watchdog".into()).stack_size(STACK).spawn(end_with_server)?;

    let (answer, code, data) = match job.work {
        Work::Inspect => (Answer::Inspected(Box::new(inspect(&file))), Vec::new(), Vec::new()),
        Work::Compile { effort, priority } => {
            // Threads inherit both from the one that starts them.
            let count = match priority {
                Priority::Awaited => be_nice(NICE_AWAITED).map(|()| 0),
                Priority::Idle => be_nice(NICE_IDLE).and_then(|()| be_idle()).map(|()| 1),
            }?;
            let compiled = pipeline::threads(count).and_then(|threads| match effort {
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

fn be_nice(nice: i32) -> io::Result<()> {
    Ok(setpriority_process(None, nice)?)
}

/// Takes only processor time that no other thread wants, which is less than any
/// nice value gives.
#[cfg(target_os = "linux")]
fn be_idle() -> io::Result<()> {
    // SAFETY: a policy and its parameters, which are only read, for the thread
    // that asks. The parameters are integers, and the policy wants zero.
    let error = unsafe {
        let parameters = std::mem::zeroed::<libc::sched_param>();
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_IDLE, &raw const parameters)
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(not(target_os = "linux"))]
fn be_idle() -> io::Result<()> {
    Ok(())
}
