//! Limits of the server. Each is a flag with its default, its unit and the effect of
//! exceeding it. A comment above a field gives the reason for the limit or its default,
//! unless the reason is obvious.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `connection` | limits of one connection and its messages |
//! | `server` | limits of all connections together |
//! | `call` | limits of handler calls |
//! | `swap` | limits of candidates and of kept versions |
//! | `limits` | gathers these limits, and passes them on to the engine and the compilers |
//! | `value` | parses the values of flags, and bounds them |

pub mod call;
pub mod connection;
pub mod limits;
pub mod server;
pub mod swap;
pub mod value;
