//! Requests without a client: probes and request files, with expectations about the
//! responses.
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
