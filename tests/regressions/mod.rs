//! Faults that were found in the server and must not come back. A test here is
//! named after the cause of its fault, in the past tense, and shows that the
//! server no longer does what the name says. A fault that only a fuzzer finds is a
//! file of `tests/corpus` instead.

mod calls;
mod connections;
mod swapping;
