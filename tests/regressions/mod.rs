//! Bugs of the server that must not come back. Each test is named after a bug, in the past
//! tense, and shows that the server no longer does what the name says. An input from a
//! fuzzer is a file of `tests/corpus` instead.

mod calls;
mod connections;
mod swapping;
