//! The limits of calls, and of compiling. The defaults are those of the command line.
//! The help of each flag says what happens past its limit.

use std::time::Duration;

/// Limits of the calls of all handlers of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Most calls at once.
    pub instances: usize,
    /// Most requests that wait for a call.
    pub queue: usize,
    /// Longest time that a request waits for a call.
    pub queue_timeout: Duration,
    /// Whether clients share the permits for long calls equally.
    pub fair_share: bool,
    /// Longest time of a call.
    pub deadline: Duration,
    /// Most memory of an instance, in bytes.
    pub memory_max: usize,
    /// Most elements of a table.
    pub table_max: usize,
    /// Longest response, head and body, in bytes.
    pub response_max: usize,
    /// Longest head of a response, in bytes.
    pub response_head_max: usize,
    /// Most memory that is kept from one large response to the next, in bytes.
    pub response_buffers_max: usize,
    /// Most log lines of a request.
    pub log_lines_max: usize,
    /// Longest log line as it is shown, in bytes.
    pub log_line_max: usize,
}

impl Default for CallLimits {
    fn default() -> CallLimits {
        CallLimits {
            instances: 64,
            queue: 16,
            queue_timeout: Duration::from_secs(1),
            fair_share: true,
            deadline: Duration::from_secs(1),
            memory_max: 64 << 20,
            table_max: 65_536,
            response_max: 8 << 20,
            response_head_max: 64 << 10,
            response_buffers_max: 1 << 30,
            log_lines_max: 64,
            log_line_max: 1 << 10,
        }
    }
}

/// Limits of compiling one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Most memory of the process that compiles, in bytes.
    pub memory_max: usize,
    /// Longest time, and most processor time for each core.
    pub timeout: Duration,
    /// Longest module file, in bytes.
    pub module_max: usize,
    /// Most machine code and data of a module together, in bytes.
    pub code_max: usize,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits {
            memory_max: 512 << 20,
            timeout: Duration::from_secs(10),
            module_max: 64 << 20,
            code_max: 256 << 20,
        }
    }
}
