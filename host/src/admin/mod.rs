//! Commands to a running server, over a Unix socket for its user, root, and the members of
//! `--control-group`.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `protocol` | requests and replies |
//! | `place` | binds the socket at its path, and locks the path against other servers |
//! | `listener` | answers commands |
//! | `resources` | counts what is in use, for `host status` |
//! | `memory_bounds` | sums the memory that the limits allow |

pub mod listener;
pub mod memory_bounds;
pub mod place;
pub mod protocol;
pub mod resources;
