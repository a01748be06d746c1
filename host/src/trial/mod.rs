//! Sends requests to a module without a client, and compares the responses with expectations. The
//! requests are probes from the command line, or come from request files.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `exchange` | sends one request to a module |
//! | `expectation` | compares a response with an expectation |
//! | `probe` | checks a candidate before it serves |
//! | `request_file` | parses requests and expectations |

pub mod exchange;
pub mod expectation;
pub mod probe;
pub mod request_file;
