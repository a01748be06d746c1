//! Requests without a client: probes, request files, and what is expected of the
//! answers.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `exchange` | sends one request to a module |
//! | `expectation` | compares an answer with what is expected |
//! | `probe` | checks a candidate before it serves |
//! | `request_file` | parses requests and expectations |

pub mod exchange;
pub mod expectation;
pub mod probe;
pub mod request_file;
