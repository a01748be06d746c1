//! Sites as the configuration describes them, and where all settings of a server come from.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Command;

use crate::config::place::Place as SitePlace;
use crate::config::setting::{self, Place, Settings};

/// Name of the site that the general settings describe.
pub const DEFAULT: &str = "default";

/// Ids of the flags that a site may set. For a flag that a site does not set, the general setting
/// applies, except for the module and the values of the handler.
#[rustfmt::skip]
pub const FLAGS: [&str; 35] = [
    "module", "watch", "no_watch", "probe", "probe_file", "no_probe", "instances", "queue", "queue_timeout",
    "deadline", "memory_max", "response_max", "response_head_max", "log_lines_max", "log_line_max", "keep", "keep_bytes",
    "var", "secret", "journal", "journal_bytes", "journal_skip", "gate", "gate_time",
    "watch_after", "ignore_field", "rollout", "rollout_hold", "rollout_shadow", "rollout_percent", "rollout_key",
    "rollout_requests", "rollout_wait", "slower", "pin_from",
];

/// Ids of the flags for which a site never uses the general setting.
const OWN: [&str; 3] = ["module", "var", "secret"];

/// Keys of a `[[site]]` table that are not names of flags.
pub const KEYS: [&str; 4] = ["name", "hosts", "path", "strip-path"];

/// A site as the configuration file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSource {
    /// Name of the site.
    pub name: String,
    /// Hosts and path for which the site answers.
    pub place: SitePlace,
    /// Settings in the site's own table.
    pub settings: Settings,
    /// Line on which the site's table begins.
    pub at: Place,
}

impl SiteSource {
    /// Returns the settings of the site. For flags that it does not set, uses the general settings,
    /// except for the module and the values of the handler.
    pub fn merged(&self, command: &Command, general: &Settings) -> Settings {
        let takes_over = |id: &str| FLAGS.contains(&id) && !OWN.contains(&id);
        let general =
            general.iter().filter(|(id, _)| takes_over(id)).map(|(id, set)| (id.clone(), set.clone()));
        setting::merge(command, [self.settings.clone(), general.collect()])
    }
}

/// Settings of a server, and where they come from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Configuration file, if one was read.
    pub file: Option<PathBuf>,
    /// Number of keys that the file sets outside of its sites.
    pub keys: usize,
    /// Settings of the command line, the environment and the file, merged.
    pub settings: Settings,
    /// Sites of the configuration file.
    pub sites: Vec<SiteSource>,
    /// Command line, which begins with the program name and which a reload parses again. Empty
    /// under `host dev`, which reads no file and no environment.
    pub line: Vec<OsString>,
    /// Warnings for the log, such as misspelt environment variables.
    pub warnings: Vec<String>,
}
