//! Tells which version serves first after a restart, as `host status` shows it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the state folder holds for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AfterRestart {
    /// Absolute path of the state folder; absent if the server has none, so that a restart begins
    /// with the module of the command line or the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state_dir: Option<String>,
    /// Number of the version that the state folder holds as the current one, with which a restart
    /// begins.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
    /// Number of the candidate whose rollout goes on after a restart; absent if none does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<u64>,
    /// Reason for which the latest change is not saved in the state folder; absent if it is saved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

impl fmt::Display for AfterRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AfterRestart { state_dir, version, rollout, cause } = self;
        match (state_dir, version) {
            (None, _) => {
                f.write_str("the module of the start, because there is no state folder (--state-dir)")?
            }
            (Some(folder), Some(version)) => {
                write!(f, "version {version}")?;
                if let Some(candidate) = rollout {
                    write!(f, ", and the rollout of version {candidate}")?;
                }
                write!(f, ", kept in {folder}")?;
            }
            (Some(folder), None) => {
                write!(f, "the module of the start, because {folder} has no version yet")?
            }
        }
        match cause {
            Some(cause) => write!(f, "; the latest change is not saved: {cause}"),
            None => Ok(()),
        }
    }
}
