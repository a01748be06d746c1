//! Configuration of the server: its limits, and the ways to set them. Each limit is a flag with its
//! default, its unit and the effect of exceeding it. A comment above a field gives the reason for
//! the limit or its default, unless the reason is obvious.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `connection` | limits of one connection and its messages |
//! | `http2` | limits of one connection of HTTP/2 |
//! | `server` | limits of all connections together |
//! | `call` | limits of handler calls |
//! | `log_lines` | what the log says of each request |
//! | `tls` | certificates, and requirements for TLS clients |
//! | `acme` | certificates from an ACME authority |
//! | `traceparent` | whose traces the host continues |
//! | `swap` | limits of candidates and of kept versions |
//! | `limits` | gathers the limits, and passes them on to the engine and the compilers |
//! | `limit_flag` | descriptions of limits, taken from the help of their flags |
//! | `values` | values that a handler gets, and where secrets are read |
//! | `value` | parses the values of flags, and bounds them |
//! | `setting` | values of flags, where each was given, and which one has precedence |
//! | `live` | which settings a reload changes, and how two configurations differ |
//! | `site` | sites as the configuration describes them |
//! | `toml_value` | reads the value of a setting in TOML |
//! | `sites` | reads the sites in the configuration file |
//! | `place` | hosts and path of a site |
//! | `file` | finds and reads the configuration file |
//! | `foreign` | names that other programs give to settings |
//! | `environment` | reads the environment variables |
//! | `value_error` | messages about rejected values and about settings that exclude each other |
//! | `schema` | JSON Schema of the configuration file |

pub mod acme;
pub mod call;
pub mod connection;
pub mod environment;
pub mod file;
pub mod foreign;
pub mod http2;
pub(crate) mod limit_flag;
pub mod limits;
pub mod live;
pub mod log_lines;
pub mod place;
pub mod schema;
pub mod server;
pub mod setting;
pub mod site;
pub mod sites;
pub mod swap;
pub mod tls;
pub mod toml_value;
pub mod traceparent;
pub mod value;
pub mod value_error;
pub mod values;
