//! The limits of calls, and of compiling. The defaults are those of the command
//! line, which says what happens past each.

use std::time::Duration;

/// Limits of the calls of all handlers of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls at once.
    pub instances: usize,
    /// Requests that wait for a call.
    pub queue: usize,
    /// Time that a request waits for a call.
    pub queue_timeout: Duration,
    /// Whether clients share the permits for long calls equally.
    pub fair_share: bool,
    /// Time of a call.
    pub deadline: Duration,
    /// Memory of an instance, in bytes.
    pub memory_max: usize,
    /// Elements of a table.
    pub table_max: usize,
    /// Length of a response, head and body, in bytes.
    pub response_max: usize,
    /// Length of the head of a response, in bytes.
    pub response_head_max: usize,
    /// Memory that is kept from one large response to the next, in bytes.
    pub response_buffers_max: usize,
    /// Log lines of a request.
    pub log_lines_max: usize,
    /// Length of a log line as it is shown, in bytes.
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
    /// Memory of the process that compiles, in bytes.
    pub memory_max: usize,
    /// Time, and processor time for each core.
    pub timeout: Duration,
    /// Length of a module file, in bytes.
    pub module_max: usize,
    /// Length of the machine code and data of a module, in bytes.
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
