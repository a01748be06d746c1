//! Tests of the whole server, most of them against the real binary on a port of its own.
//! The first lines of each module say which promise it tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod acme;
mod admission;
mod answers;
mod api;
mod bodies;
mod bulk;
mod compiling;
mod components;
mod conditional;
mod configuration;
mod connections;
mod control;
mod docs;
mod ending;
mod faults;
mod folders;
mod fuzzed;
mod graph;
mod h2;
mod handler_log;
mod host_work;
mod images;
mod isolation;
mod manual;
mod memory;
mod messages;
mod metrics;
mod output;
mod packaging;
mod parity;
mod probation;
mod proof;
mod proxy_protocol;
mod regressions;
mod reload;
mod repository;
mod request_lines;
mod rollout;
mod sdk;
mod segments;
mod service;
mod sites;
mod startup;
mod starvation;
mod state;
mod steering;
mod strict;
mod swap;
mod tls;
mod tools;
mod traces;
mod transcripts;
mod upgrade;
mod values;
mod watch;

mod harness;
