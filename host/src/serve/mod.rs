//! Serves requests, from an accepted connection to the response.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `app` | the state that all connections share |
//! | `settings` | the settings that a reload changes |
//! | `server` | accepts connections, and drains them on shutdown |
//! | `slots` | chooses which connections to close when there are too many |
//! | `connection` | serves one connection |
//! | `caller` | the peer of a connection, or the client that its PROXY protocol header names |
//! | `header_counts` | counts headers of the PROXY protocol, by outcome |
//! | `h2` | serves one HTTP/2 connection |
//! | `client` | facts about a client that are the same for all requests of its connection |
//! | `transport` | socket of an active connection; fails if the client reads too slowly |
//! | `stream` | reads from and writes to an active connection |
//! | `write_pace` | bounds how slowly a client may read |
//! | `linger` | drains a closing connection after its last response |
//! | `look` | detects that a connection is idle |
//! | `exchange` | answers one request: checks, call, response |
//! | `channel` | interface of an exchange to its connection, which HTTP/1.1 and HTTP/2 implement |
//! | `http1` | answers requests of HTTP/1.1, one after the other |
//! | `redirect` | redirects clients of a plain HTTP port to https |
//! | `not_shaken` | logs why a TLS handshake has failed |
//! | `seldom` | bounds how often a log line is written that clients can cause |
//! | `peer_cert` | converts the certificate of the client to the form for the handler |
//! | `refused` | answers messages that are refused before their head is parsed |
//! | `put` | checks a response, and writes its head |
//! | `date` | formats the field `date` |
//! | `body` | reads a request body of HTTP/1.1 within its limits |
//! | `body_pace` | bounds how slowly a body may arrive |
//! | `body_pieces` | stores a body in pieces while it is being received |
//! | `buffers` | counts the memory of bodies |
//! | `idle_memory` | gives memory back when a burst is over |
//! | `access_log` | writes one log line for each request |
//! | `ending` | tells connections that shutdown has begun |

pub mod access_log;
pub mod app;
mod body;
mod body_pace;
mod body_pieces;
pub mod buffers;
pub mod caller;
mod channel;
pub mod client;
pub mod connection;
mod date;
pub mod ending;
pub mod exchange;
mod h2;
pub mod header_counts;
mod http1;
mod idle_memory;
pub mod linger;
pub mod look;
mod not_shaken;
mod peer_cert;
mod put;
mod redirect;
mod refused;
mod seldom;
pub mod server;
pub mod settings;
pub mod slots;
pub mod stream;
mod transport;
pub mod write_pace;
