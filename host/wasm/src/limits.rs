//! Limits of calls and of compiling. The default values are those of the command line. The help of
//! each flag says what happens past its limit.

use std::time::Duration;

/// Limits of the handler calls of one site. The limits given to [`Engine::new`](crate::Engine::new)
/// also bound all sites together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Maximum number of calls at once.
    pub instances: usize,
    /// Maximum number of requests that wait for their call to start.
    pub queue: usize,
    /// Maximum time that a request waits for its call to start.
    pub queue_timeout: Duration,
    /// Whether clients share the permits for long calls equally.
    pub fair_share: bool,
    /// Maximum duration of a call.
    pub deadline: Duration,
    /// Maximum memory of an instance, in bytes.
    pub memory_max: usize,
    /// Maximum number of elements of a table.
    pub table_max: usize,
    /// Maximum length of a response, head and body together, in bytes.
    pub response_max: usize,
    /// Maximum length of the head of a response, in bytes.
    pub response_head_max: usize,
    /// Maximum memory in bytes of the buffers of large responses that are kept for later responses.
    pub response_buffers_max: usize,
    /// Maximum number of lines that a module may log for one request.
    pub log_lines_max: usize,
    /// Maximum length of a log line, counted after escaping, in bytes. A longer line is cut.
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
    /// Maximum memory of the compile process, in bytes.
    pub memory_max: usize,
    /// Maximum duration of a compilation, and maximum CPU time of each of its threads. The duration
    /// of a compilation at idle priority is not limited.
    pub timeout: Duration,
    /// Maximum length of a module file, in bytes.
    pub module_max: usize,
    /// Maximum size of the machine code and the data segments of a module together, in bytes.
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
