//! Commands to a running server, over a Unix socket that only its owner may use.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `protocol` | requests and replies |
//! | `place` | the path of the socket, and its owner |
//! | `listener` | answers commands |
//! | `resources` | counts what is in use, for `host status` |
//! | `memory_bounds` | sums the memory that the limits allow |

pub mod listener;
pub mod memory_bounds;
pub mod place;
pub mod protocol;
pub mod resources;
