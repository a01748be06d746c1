//! Sockets: addresses, listeners and accepted connections.

pub mod address;
pub mod handed;
pub mod listen;
pub mod listener;
pub mod proxy_header;
pub mod socket;
pub mod tls_stream;
pub mod unix_socket;
