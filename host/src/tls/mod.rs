//! TLS of the server: its certificates, how they are replaced while it runs, and what it agrees
//! with clients on.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `facts` | what a certificate says: names, dates, issuer |
//! | `certificate` | a certificate with its private key, read from files and checked |
//! | `certificates` | those in force, and the choice for a client |
//! | `terms` | versions, ciphers, tickets and certificates of clients |
//! | `challenges` | answers to a certificate authority that looks whether a domain leads here |
//! | `orders` | what has become of the orders by ACME |
//! | `shown` | what the API shows |
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
