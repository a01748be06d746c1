//! Certificates of the server as the API shows them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::facts::Facts;
use crate::tls::orders::ShownOrder;

/// Certificate as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// File of the chain.
    pub file: PathBuf,
    /// What the certificate says.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Certificates of the server as the API shows them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AllShown {
    /// Certificates in the order of the flags, those by ACME last; the first is for clients that ask
    /// for no name, or for one that none has.
    pub certificates: Vec<Shown>,
    /// Why the files as they are now are refused; absent if they are those in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
    /// Orders by ACME, one for each domain; absent without ACME.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub orders: Vec<ShownOrder>,
}
