//! HTTP as bytes and messages: parsing what clients send, the canonical request
//! that a handler gets, and checking the response that it returns. Nothing here
//! runs a handler or opens a socket.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `wire` | finds where a message ends, and refuses what is ambiguous |
//! | `request` | encodes the canonical request |
//! | `target` | the forms of a request target |
//! | `authority` | checks which server a request names |
//! | `forwarded` | determines the client behind trusted proxies |
//! | `response` | decodes and checks a response |
//! | `response_head` | parses and checks the head of a response |
//! | `invalid_response` | why a response is refused |
//! | `fields` | looks up header fields |
//! | `hop_by_hop` | header fields that concern one connection |
//! | `message` | a request in the form that a handler gets |
//! | `request_id` | ids of requests and connections |
//! | `client_net` | the network that a client counts towards |
//! | `quote` | makes untrusted text safe to show |

pub mod authority;
pub mod client_net;
pub mod fields;
pub mod forwarded;
pub mod hop_by_hop;
pub mod invalid_response;
pub mod message;
pub mod quote;
pub mod request;
pub mod request_id;
pub mod response;
pub mod response_head;
pub mod target;
pub mod wire;
