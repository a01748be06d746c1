//! TLS of the server: its certificates, how they are replaced while the server runs, and the terms
//! on which it speaks TLS.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `facts` | what a certificate says: names, dates, issuer |
//! | `certificate` | a certificate with its private key, read from files and checked |
//! | `certificates` | certificates in force, and the choice of the one that a client gets |
//! | `terms` | versions, ciphers, tickets and certificates of clients |
//! | `challenges` | answers to a certificate authority that verifies a domain (ACME) |
//! | `orders` | state of the orders of certificates by ACME |
//! | `shown` | certificates as the API shows them |
//! | `keeper` | replaces certificates whose files have changed, and warns before they expire |
//! | `local` | an authority and certificates for this machine alone |

pub mod certificate;
pub mod certificates;
pub mod challenges;
pub mod facts;
pub mod keeper;
pub mod local;
pub mod orders;
pub mod shown;
pub mod terms;
