//! Gets certificates by ACME (RFC 8555), and renews them. `tls::keeper` publishes them like
//! certificates from files. A failed order never removes a certificate.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `client` | requests to the certificate authority, over HTTPS |
//! | `roots` | the root certificates that the server trusts when it connects to the authority |
//! | `store` | the folder with the account, the certificates and their keys |
//! | `order` | one order, from the account to the certificate |
//! | `proof` | the certificate for a TLS-ALPN-01 challenge |
//! | `failure` | failures: the step, the cause, and a hint for the operator |
//! | `schedule` | when to renew, and when to try again |
//! | `attempt` | one attempt: an order with each challenge type, until one succeeds |
//! | `plan` | what the server remembers about each domain between two attempts |
//! | `kept` | the folder while it is open and locked, with the plans |
//! | `restore` | writes a certificate in use back when its file is damaged or gone |
//! | `change` | prepares the changes of a reload |
//! | `runner` | the thread that orders the certificates that are due |

pub mod attempt;
pub mod change;
pub mod client;
pub mod failure;
mod kept;
pub mod order;
pub mod plan;
mod proof;
mod restore;
mod roots;
pub mod runner;
pub mod schedule;
pub mod store;
