//! TLS of the server: its configuration, its certificates, and how these are replaced while the
//! server runs.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `facts` | facts that a certificate states: names, validity, issuer |
//! | `certificate` | a certificate with its private key, read from files and checked |
//! | `certificates` | certificates that the server uses, and the choice of a certificate for each client |
//! | `terms` | TLS configuration: versions, ciphers, tickets and client certificates |
//! | `challenges` | answers to a certificate authority that verifies a domain (ACME) |
//! | `orders` | state of the ACME orders for certificates |
//! | `shown` | certificates as the API shows them |
//! | `keeper` | replaces certificates whose files have changed, and warns before they expire |
//! | `doubts` | warns of certificates that are not valid, or not for long |
//! | `local` | a certificate authority and certificates for this machine only |

pub mod certificate;
pub mod certificates;
pub mod challenges;
mod doubts;
pub mod facts;
pub mod keeper;
pub mod local;
pub mod orders;
pub mod shown;
pub mod terms;
