//! Configuration of the server.

pub mod limits;
