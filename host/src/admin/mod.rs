//! API of a running server: HTTP and JSON, over a Unix socket for the user of the server, root and
//! the members of `--control-group`, and at the address of `--admin` for clients that have a token.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `place` | binds the socket at its path, and locks the path against other servers |
//! | `listener` | accepts connections, and speaks HTTP on them |
//! | `peer` | identifies the client, and checks whether it has disconnected |
//! | `guests` | limits the connections of clients at the address of `--admin` |
//! | `token` | checks the token of clients at the address of `--admin` |
//! | `routes` | the table of methods, paths and operations |
//! | `api` | answers one request |
//! | `proof` | the journal of recent requests, and comparisons of versions on them |
//! | `rollout` | rollouts |
//! | `choice` | finds the site and the version that a request names |
//! | `reply` | the forms of a reply: JSON, a text or a stream |
//! | `stream` | streams events to a client |
//! | `traffic` | streams samples of the traffic metrics to a client |
//! | `page` | the page for a browser |
//! | `unread` | closes connections of clients that read nothing |
//! | `body` | receives the body of a request |
//! | `refusal` | why a request is not carried out |
//! | `protocol` | requests and replies |
//! | `openapi` | describes the API for programs |
//! | `parameters` | the parameters in queries: checks requests, and describes them for `openapi` |
//! | `openapi_page` | describes the API for people |
//! | `metrics` | reads the metrics |
//! | `resources` | counts what is in use, for `host status` |
//! | `memory_bounds` | sums the memory that the limits allow |

pub mod api;
pub(crate) mod body;
mod choice;
pub(crate) mod guests;
pub mod listener;
pub mod memory_bounds;
mod metrics;
pub mod openapi;
pub mod openapi_page;
mod page;
mod parameters;
mod peer;
pub mod place;
pub mod proof;
pub mod protocol;
mod refusal;
mod reply;
pub mod resources;
mod rollout;
mod routes;
pub(crate) mod stream;
pub mod token;
mod traffic;
mod unread;
