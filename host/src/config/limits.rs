//! Every bound of the server in one table: its flag, its default with the unit,
//! and what happens past it. The reasons stand beside the fields.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use host_wasm::{CallLimits, CompileLimits};
use rustix::process::{Resource, getrlimit, setrlimit};

/// The bounds, as given on the command line or by default.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    // 8 KiB is what nginx and Apache take; RFC 9110, section 4.1, asks for 8,000.
    /// Longest request target; past it 414
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = size::<TARGET_MAX>)]
    pub target_max: usize,

    // A head is held in memory until it is whole, for every connection.
    /// Longest request head, the request line included; past it 431
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size::<HEAD_MAX>)]
    pub head_max: usize,

    /// Most fields in a request's head; past it 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<FIELDS_MAX>)]
    pub fields_max: usize,

    // A body is held in memory until it is whole: the contract hands the
    // handler one message.
    /// Longest request body; past it 413
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::<ADDRESSES>)]
    pub body_max: usize,

    /// Longest time from the first byte of a request's head to its last; past it
    /// 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub head_timeout: Duration,

    // Longer than most clients keep a connection that they do not use, so that
    // they are the ones who close it: a request that meets a close is lost.
    /// Longest time in which nothing comes, before the first request or between
    /// two; past it the connection is closed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Longest wait for the next piece of a request body; past it 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    // A body of the default size takes seven minutes over GPRS, the slowest that
    // anybody may still have.
    /// Longest time from a request's head to the end of its body; past it 408
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    pub body_time_max: Duration,

    // A tenth of what GPRS has. A client that sends a byte now and then is far
    // below, and cannot hold a connection for long.
    /// Least bytes a second of a request body, on average over `--rate-window`, 0
    /// being none; past it 408
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub body_rate_min: usize,

    /// Longest wait for a client to take in a piece of its response; past it the
    /// connection is closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,

    // As for bodies.
    /// Least bytes a second of a response that its client takes in, on average over
    /// `--rate-window`, 0 being none; past it the connection is closed
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub write_rate_min: usize,

    // A mobile connection may stand still for some seconds between two cells.
    /// Time over which rates are averaged, and twice the time that a slow
    /// connection has before it can be closed for others; past it a rate that is
    /// too low has its effect
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub rate_window: Duration,

    // Each is a descriptor, and may own a head and a body.
    /// Most connections at once, `auto` being as many as the process may have
    /// descriptors, less 128; past it idle ones are closed, then the slowest, and
    /// new ones wait
    #[arg(long, value_name = "N", default_value = "auto", value_parser = connections)]
    pub connections: usize,

    // Behind a proxy that nobody has named in `--trust-forwarded` all clients have
    // one address.
    /// Whether no client address (of IPv6 its first 64 bits) may have more than its
    /// share of connections and long calls while others wait; past it the address
    /// that has the most gives way first
    #[arg(long, value_name = "SWITCH", default_value = "on", value_enum)]
    pub fair_share: Switch,

    // So that a balancer in front gets to spread long-lived clients anew.
    /// Most requests of one connection; past it the connection is closed
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count::<REQUESTS_MAX>)]
    pub connection_requests: usize,

    // A call is pure computation, so more of them at once than cores serves
    // only calls that are long; each may own `memory_max` of memory.
    /// Most calls of the handler at once; past it requests queue
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub instances: usize,

    // Short, so that a request which is admitted under overload waits for no
    // longer than its call takes then.
    /// Most requests that wait in the queue for a call; past it 503
    #[arg(long, value_name = "N", default_value = "16", value_parser = count::<COUNT_MAX>)]
    pub queue: usize,

    /// Longest wait in the queue for a call; past it 503
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub queue_timeout: Duration,

    /// Longest time for one call of the handler, by the clock on the wall; past
    /// it 504
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub deadline: Duration,

    // With the default of 64 instances, 8 GiB in all, half of it for those that wait.
    /// Most memory of one instance; a module cannot grow past it, and one that
    /// starts past it is not served
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub memory_max: usize,

    // A table's room is set aside for every instance, as address space.
    /// Most elements of a module's table; a module cannot grow it past this,
    /// and one that starts past it is not served
    #[arg(long, value_name = "N", default_value = "65536", value_parser = count::<TABLE_MAX>)]
    pub table_max: usize,

    /// Longest response of the handler, head and body; past it 502
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size::<ADDRESSES>)]
    pub response_max: usize,

    // It is searched for its end, parsed and checked in one go, on a thread that
    // serves.
    /// Longest head of the handler's response, the status line included; past it 502
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size::<RESPONSE_HEAD_MAX>)]
    pub response_head_max: usize,

    // What a body of the default size can take on each of a thousand
    // connections. Bodies up to 64 KiB are not counted.
    /// Most memory of all bodies longer than 64 KiB that are being read or not
    /// taken in yet, over all connections; past it 503
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::<BUFFERS_MAX>)]
    pub buffer_max: usize,

    /// Most lines that one request may write to the log through `host.log`;
    /// past it they are dropped, and the drop is logged
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub log_lines_max: usize,

    /// Longest line that a handler may write to the log, as it is shown there;
    /// past it the line is cut
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size::<ADDRESSES>)]
    pub log_line_max: usize,

    // A candidate is held in memory whole, beside the one that serves.
    /// Largest module file; a larger one is not served
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub module_max: usize,

    // Half a gigabyte compiles modules of several megabytes. It is the memory of a
    // process beside the server, of which two may run at once.
    /// Most memory of the process that compiles a module; past it the module is
    /// not served
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::<BUFFERS_MAX>)]
    pub compile_memory_max: usize,

    // A module takes some milliseconds for each ten kilobytes.
    /// Longest time to compile a module; past it the module is not served
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub compile_timeout: Duration,

    // The code of a module is some five times as large as its file.
    /// Most memory of the code of all good versions that are kept; past it the
    /// oldest go, and a module whose code is larger is not served
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::<BUFFERS_MAX>)]
    pub keep_bytes: usize,

    /// Most good versions that are kept compiled, the one that serves included;
    /// older ones cannot be rolled back to
    #[arg(long, value_name = "N", default_value = "10", value_parser = count::<COUNT_MAX>)]
    pub keep: usize,

    /// Longest wait, at the end, for requests in flight; past it their
    /// connections are closed
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

/// Something that is done or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// It is done
    On,
    /// It is not done
    Off,
}

impl Switch {
    /// Returns whether it is done.
    pub fn is_on(self) -> bool {
        self == Switch::On
    }
}

/// The most that a size can be set to, in bytes: the contract's addresses are
/// 32 bits wide, so nothing larger gets into a module or out of it.
pub(crate) const ADDRESSES: usize = 1 << 32;

/// More than machines have.
const BUFFERS_MAX: usize = 1 << 40;

/// hyper answers 414 itself from 65,535 bytes on.
const TARGET_MAX: usize = 65_534;

/// hyper reads a head into a buffer of at most 400 KiB or so.
const HEAD_MAX: usize = 256 << 10;

/// What takes a millisecond to read.
const RESPONSE_HEAD_MAX: usize = 1 << 20;

/// The type that holds fields takes up to 32,768 of them; a thousand are more
/// than any client sends.
const FIELDS_MAX: usize = 1000;

/// A table's room is set aside for every instance.
const TABLE_MAX: usize = 10_000_000;

/// Nothing depends on how many there are.
const REQUESTS_MAX: usize = 1_000_000_000;

/// Descriptors that are not connections': files, listeners, timers, the control
/// socket.
const DESCRIPTORS_KEPT: u64 = 128;

/// The most connections: what a semaphore takes in one piece.
const CONNECTIONS_MAX: usize = 1_000_000;

/// What is counted otherwise are things that each cost memory.
pub(crate) const COUNT_MAX: usize = 100_000;

/// Past it, adding a time to the clock could overflow.
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

/// Raises the limit on descriptors as far as it goes without a privilege.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not allowed, there are as many as before.
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
    use std::time::Duration;

    fn size(text: &str) -> Result<usize, String> {
        super::size::<ADDRESSES>(text)
    }

    fn count(text: &str) -> Result<usize, String> {
        super::count::<COUNT_MAX>(text)
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
