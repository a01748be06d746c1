//! Gets certificates by ACME (RFC 8555), and renews them. What was got is published as files are, by
//! `tls::keeper`; a failure never takes a certificate away.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `client` | requests to the certificate authority, over HTTPS |
//! | `roots` | whom the server believes that it talks to the authority |
//! | `store` | the folder with the account, the certificates and their keys |
//! | `order` | one order, from the account to the certificate |
//! | `proof` | the certificate of a challenge |
//! | `failure` | which step has failed, why, and what to look at |
//! | `schedule` | when to renew, and when to try again |
//! | `attempt` | one attempt: an order in each way, until one works |
//! | `plan` | what is known of the domains between two attempts |
//! | `kept` | the folder while it is open, with the plans |
//! | `change` | checks the flags for a reload |
//! | `runner` | the thread that orders what is due |

pub mod attempt;
pub mod change;
pub mod client;
pub mod failure;
mod kept;
pub mod order;
pub mod plan;
mod proof;
mod roots;
pub mod runner;
pub mod schedule;
pub mod store;
