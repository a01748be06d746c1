//! Certificates of the server as the API shows them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::facts::Facts;
use crate::tls::orders::ShownOrder;

/// Certificate as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Path of the file with the certificate and the certificates of its authorities.
    pub file: PathBuf,
    /// Facts that the certificate states.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Certificates of the server as the API shows them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AllShown {
    /// Certificates in the order of the flags, those by ACME last. Clients that ask for no server
    /// name, or for one that no certificate has, get the first certificate.
    pub certificates: Vec<Shown>,
    /// Reason for which the current content of a certificate file is refused, so that an earlier
    /// certificate stays in use; absent if none is refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
    /// State of the orders by ACME, for each domain; absent without ACME.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub orders: Vec<ShownOrder>,
}
