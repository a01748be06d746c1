//! Gathers the limits of the server, and passes them on to the engine and the compilers.

use crate::config::call::CallLimits;
use crate::config::connection::ConnectionLimits;
use crate::config::server::ServerLimits;
use crate::config::swap::SwapLimits;

/// Limits, from the command line or by default.
#[derive(Clone, Debug, clap::Args)]
pub struct Limits {
    /// Flags of [`ConnectionLimits`].
    #[command(flatten)]
    pub connection: ConnectionLimits,
    /// Flags of [`ServerLimits`].
    #[command(flatten)]
    pub server: ServerLimits,
    /// Flags of [`CallLimits`].
    #[command(flatten)]
    pub call: CallLimits,
    /// Flags of [`SwapLimits`].
    #[command(flatten)]
    pub swap: SwapLimits,
}

impl Limits {
    /// Returns the limits that the engine enforces.
    pub fn for_engine(&self) -> host_wasm::CallLimits {
        let call = &self.call;
        host_wasm::CallLimits {
            instances: call.instances,
            queue: call.queue,
            queue_timeout: call.queue_timeout,
            fair_share: self.server.fair_share.is_on(),
            deadline: call.deadline,
            memory_max: call.memory_max,
            table_max: call.table_max,
            response_max: call.response_max,
            response_head_max: call.response_head_max,
            response_buffers_max: self.server.buffer_max,
            log_lines_max: call.log_lines_max,
            log_line_max: call.log_line_max,
        }
    }

    /// Returns the limits that the compiler processes enforce.
    pub fn for_compilers(&self) -> host_wasm::CompileLimits {
        host_wasm::CompileLimits {
            memory_max: self.swap.compile_memory_max,
            timeout: self.swap.compile_timeout,
            module_max: self.swap.module_max,
            code_max: self.swap.keep_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::args::Args;
    use clap::Parser;
    use host_wasm::{CallLimits, CompileLimits};

    #[test]
    fn the_defaults_are_those_of_the_crate_that_calls_modules() {
        let limits = Args::parse_from(["host"]).serve.limits;
        assert_eq!(limits.for_engine(), CallLimits::default());
        assert_eq!(limits.for_compilers(), CompileLimits::default());
    }
}
