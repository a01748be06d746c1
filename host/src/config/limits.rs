//! All limits of the server: flag, default with unit, and effect of exceeding it. A
//! comment beside each field gives the reason for its default.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use host_wasm::{CallLimits, CompileLimits};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Limits, from the command line or by default.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    // 8 KiB is what nginx and Apache take; RFC 9110, section 4.1, asks for 8,000.
    /// Longest request target; past it 414
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = size::<TARGET_MAX>)]
    pub target_max: usize,

    // Each connection holds its head in memory until it is complete.
    /// Longest request head including the request line; past it 431
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size::<HEAD_MAX>)]
    pub head_max: usize,

    /// Most headers of a request; past it 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<FIELDS_MAX>)]
    pub fields_max: usize,

    // A body is held in memory until it is complete: the contract hands the handler
    // one message.
    /// Longest request body; past it 413
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::<ADDRESSES>)]
    pub body_max: usize,

    /// Longest time from the first to the last byte of a request head; past it 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub head_timeout: Duration,

    // Longer than most clients keep an unused connection, so that the client closes
    // first: a request sent while the server closes is lost.
    /// Longest idle time of a connection, before the first request and between two;
    /// past it the connection is closed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Longest wait for the next piece of a request body; past it 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    // A body of the default size takes seven minutes over GPRS, the slowest link
    // still in use.
    /// Longest time from the end of a request head to the end of its body; past it
    /// 408
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    pub body_time_max: Duration,

    // A tenth of GPRS speed. A client that sends a byte now and then is far below
    // and cannot hold a connection for long.
    /// Lowest rate of a request body in bytes per second, averaged over
    /// `--rate-window` (0 turns the check off); past it 408
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub body_rate_min: usize,

    /// Longest time in which a client reads nothing of its response; past it the
    /// connection is closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,

    // A tenth of GPRS speed, as for `body_rate_min`.
    /// Lowest rate at which a client reads its response in bytes per second,
    /// averaged over `--rate-window` (0 turns the check off); past it the
    /// connection is closed
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub write_rate_min: usize,

    // A mobile connection may stall for some seconds between two cells.
    /// Time over which transfer rates are averaged; past it a transfer below its
    /// lowest rate is ended, and past half of it a slow connection can be closed
    /// for a new one
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub rate_window: Duration,

    // Each connection takes a descriptor and may hold a head and a body.
    /// Most connections at once (`auto`: the limit on descriptors less 128); past
    /// it idle connections are closed, then the slowest, and new ones wait
    #[arg(long, value_name = "N", default_value = "auto", value_parser = connections)]
    pub connections: usize,

    // Behind a proxy that is not named in `--trust-forwarded`, all clients share
    // one address.
    /// Whether each client address (for IPv6 its /64) is held to a fair share of
    /// connections and long calls while others wait; past it the address with the
    /// most gives way first
    #[arg(long, value_name = "SWITCH", default_value = "on", value_enum)]
    pub fair_share: Switch,

    // Lets a load balancer in front redistribute long-lived connections.
    /// Most requests on one connection; past it the connection is closed
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count::<REQUESTS_MAX>)]
    pub connection_requests: usize,

    // A call is pure computation, so running more of them than cores helps only
    // when calls are long; each may use `memory_max` of memory.
    /// Most handler calls at once; past it requests queue
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub instances: usize,

    // Short, so that under overload an admitted request waits no longer than its
    // call takes.
    /// Most requests in the queue for a call; past it 503
    #[arg(long, value_name = "N", default_value = "16", value_parser = count::<COUNT_MAX>)]
    pub queue: usize,

    /// Longest wait in the queue for a call; past it 503
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub queue_timeout: Duration,

    /// Longest handler call in wall-clock time; past it 504
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub deadline: Duration,

    // With the default of 64 instances 8 GiB in total, half of it for parked
    // instances.
    /// Most memory of one instance; a module cannot grow beyond it, and one that
    /// starts beyond it is rejected
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub memory_max: usize,

    // Each instance reserves address space for its table.
    /// Most elements of a module's table; a module cannot grow it beyond this, and
    /// one that starts beyond it is rejected
    #[arg(long, value_name = "N", default_value = "65536", value_parser = count::<TABLE_MAX>)]
    pub table_max: usize,

    /// Longest handler response, head and body together; past it 502
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size::<ADDRESSES>)]
    pub response_max: usize,

    // The head is scanned, parsed and checked at once, on a thread that serves.
    /// Longest head of a handler response including the status line; past it 502
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size::<RESPONSE_HEAD_MAX>)]
    pub response_head_max: usize,

    // Room for a body of the default size on each of a thousand connections. Bodies
    // up to 64 KiB are not counted.
    /// Most memory of all bodies longer than 64 KiB that are being received or
    /// sent; past it 503
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::<BUFFERS_MAX>)]
    pub buffer_max: usize,

    /// Most lines that one request may write to the log through `host.log`; past it
    /// lines are dropped, and a log line says so
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub log_lines_max: usize,

    /// Longest log line of a handler, counted after escaping; past it the line is
    /// cut
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size::<ADDRESSES>)]
    pub log_line_max: usize,

    // A candidate is held in memory beside the version that serves.
    /// Largest module file; past it the module is rejected
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub module_max: usize,

    // Half a gigabyte is enough for modules of several megabytes. The memory
    // belongs to a process beside the server, of which two may run at once.
    /// Most memory of the process that compiles a module; past it the module is
    /// rejected
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::<BUFFERS_MAX>)]
    pub compile_memory_max: usize,

    // Compiling takes a few milliseconds per ten kilobytes.
    /// Longest time to compile a module; past it the module is rejected
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub compile_timeout: Duration,

    // Compiled code is about five times as large as the module file.
    /// Most memory of all kept versions: their code, their images, and the files of those
    /// that are still to be compiled again; past it the oldest are dropped, and a module
    /// whose code alone is larger is rejected
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::<BUFFERS_MAX>)]
    pub keep_bytes: usize,

    /// Most versions kept compiled for rollback, including the current one; past it
    /// the oldest are dropped
    #[arg(long, value_name = "N", default_value = "10", value_parser = count::<COUNT_MAX>)]
    pub keep: usize,

    /// Longest wait on shutdown for requests in flight; past it their connections
    /// are closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub drain: Duration,
}

impl Limits {
    /// Returns those that calls have to keep.
    pub fn call(&self) -> CallLimits {
        CallLimits {
            instances: self.instances,
            queue: self.queue,
            queue_timeout: self.queue_timeout,
            fair_share: self.fair_share.is_on(),
            deadline: self.deadline,
            memory_max: self.memory_max,
            table_max: self.table_max,
            response_max: self.response_max,
            response_head_max: self.response_head_max,
            response_buffers_max: self.buffer_max,
            log_lines_max: self.log_lines_max,
            log_line_max: self.log_line_max,
        }
    }

    /// Returns those that compiling a module has to keep.
    pub fn compile(&self) -> CompileLimits {
        CompileLimits {
            memory_max: self.compile_memory_max,
            timeout: self.compile_timeout,
            module_max: self.module_max,
            code_max: self.keep_bytes,
        }
    }
}

/// Value of a flag that turns something on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Turned on
    On,
    /// Turned off
    Off,
}

impl Switch {
    /// Returns whether the switch is on.
    pub fn is_on(self) -> bool {
        self == Switch::On
    }
}

/// Largest value of a size in bytes: the contract's addresses are 32 bits wide, so
/// nothing larger gets into a module or out of it.
pub(crate) const ADDRESSES: usize = 1 << 32;

/// Largest value of a memory budget in bytes: 1 TiB, more than machines have.
const BUFFERS_MAX: usize = 1 << 40;

/// Largest `target_max`: hyper itself answers 414 from 65,535 bytes on.
const TARGET_MAX: usize = 65_534;

/// Largest `head_max`: hyper's read buffer holds about 400 KiB.
const HEAD_MAX: usize = 256 << 10;

/// Largest `response_head_max`: parsing a head of this size takes a millisecond.
const RESPONSE_HEAD_MAX: usize = 1 << 20;

/// Largest `fields_max`: `HeaderMap` holds at most 32,768 fields, and no client
/// sends a thousand.
const FIELDS_MAX: usize = 1000;

/// Largest `table_max`: each instance reserves address space for its table.
const TABLE_MAX: usize = 10_000_000;

/// Largest `connection_requests`. Arbitrary: nothing is allocated per request.
const REQUESTS_MAX: usize = 1_000_000_000;

/// Descriptors reserved for files, listeners, timers and the control socket.
const DESCRIPTORS_KEPT: u64 = 128;

/// Largest `connections`. Shutdown acquires as many permits from a semaphore at
/// once.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Largest value of other counts. Each counted item costs memory.
pub(crate) const COUNT_MAX: usize = 100_000;

/// Largest duration: a year. Adding a longer one to the clock could overflow.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

pub(crate) fn size<const MAX: usize>(text: &str) -> Result<usize, String> {
    let size = ByteSize::from_str(text).map_err(|_| "expected a size such as 65536, 64KiB or 1MiB")?;
    match usize::try_from(size.as_u64()) {
        Ok(size) if size <= MAX => Ok(size),
        _ => Err(format!("expected at most {}", ByteSize(MAX as u64))),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= TIME_MAX => Ok(duration),
        _ => {
            Err("expected a time with its unit, such as 500ms, 10s or 2min, above zero and at most a year"
                .into())
        }
    }
}

/// Raises the soft limit on descriptors to the hard limit.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that is not allowed, the soft limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn connections(text: &str) -> Result<usize, String> {
    if text != "auto" {
        return count::<CONNECTIONS_MAX>(text)
            .map_err(|_| format!("expected auto, or a whole number from 1 to {CONNECTIONS_MAX}"));
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_KEPT)).unwrap_or(usize::MAX);
    Ok(left.clamp(1, CONNECTIONS_MAX))
}

pub(crate) fn count<const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, COUNT_MAX, duration};
    use crate::cli::args::Args;
    use clap::Parser;
    use host_wasm::{CallLimits, CompileLimits};
    use std::time::Duration;

    fn size(text: &str) -> Result<usize, String> {
        super::size::<ADDRESSES>(text)
    }

    fn count(text: &str) -> Result<usize, String> {
        super::count::<COUNT_MAX>(text)
    }

    #[test]
    fn the_defaults_are_those_of_the_crate_that_calls_modules() {
        let limits = Args::parse_from(["host"]).serve.limits;
        assert_eq!(limits.call(), CallLimits::default());
        assert_eq!(limits.compile(), CompileLimits::default());
    }

    #[test]
    fn units_are_read() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("8KiB"), Ok(8192));
        assert_eq!(size("1 MiB"), Ok(1 << 20));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(count("64"), Ok(64));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-1", "x", "1 parsec", "99999999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
            assert!(duration(text).is_err(), "{text}");
            assert!(count(text).is_err(), "{text}");
        }
        assert!(duration("0s").is_err() && duration("366days").is_err());
        assert!(count("0").is_err() && count("100001").is_err());
        assert!(size("4GiB").is_ok() && size("4294967297").is_err());
    }
}
