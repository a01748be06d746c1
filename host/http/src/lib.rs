//! Parses the requests of clients, encodes the canonical request that a handler gets, and checks
//! the response that the handler returns. Nothing here runs a handler or opens a socket.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `h1` | parses HTTP/1.1 requests, and refuses what is ambiguous |
//! | `h2` | converts HTTP/2 heads so that the rules of HTTP/1.1 apply, and counts costly frames |
//! | `request_head` | the head of a request as it arrived |
//! | `field` | header fields, and the names of those that the host treats specially |
//! | `request` | encodes the canonical request |
//! | `target` | the forms of a request target |
//! | `authority` | checks the field `host` |
//! | `forwarded` | determines the client behind trusted proxies |
//! | `proxy_header` | reads the header of the PROXY protocol |
//! | `response` | checks a response, and writes the head that a client gets |
//! | `invalid_response` | why a response is refused |
//! | `hop_by_hop` | header fields that concern one connection |
//! | `message` | a request in the form that a handler gets |
//! | `request_id` | ids of requests and connections |
//! | `trace` | the trace that a request belongs to |
//! | `client_net` | the network of a client, for fair sharing |
//! | `quote` | makes untrusted text safe to show |

pub mod authority;
pub mod client_net;
pub mod field;
pub mod forwarded;
pub mod h1;
pub mod h2;
pub mod hop_by_hop;
pub mod invalid_response;
pub mod message;
pub mod proxy_header;
pub mod quote;
pub mod request;
pub mod request_head;
pub mod request_id;
pub mod response;
pub mod target;
pub mod trace;
