//! Versions of a site that the process before this one hands over.

use std::collections::HashMap;
use std::sync::Arc;

use crate::site::saved::State;
use crate::site::version::Label;

/// Versions of a site that the previous process hands over in an upgrade.
pub struct Handed {
    /// State of the site, in the form of the state file.
    pub state: State,
    /// Bytes of the versions that are not in the state folder.
    pub files: Vec<(Label, Arc<[u8]>)>,
}

impl Handed {
    /// Takes the modules that the state names from the received modules, which are listed by their
    /// SHA-256.
    pub fn new(state: State, modules: &HashMap<String, Arc<[u8]>>) -> Handed {
        let candidate = state.rollout.iter().map(|rollout| &rollout.kept);
        let labels = state.versions.iter().chain(candidate).map(|kept| &kept.label);
        let files = labels.filter_map(|label| Some((label.clone(), Arc::clone(modules.get(&label.sha256)?))));
        let files = files.collect();
        Handed { state, files }
    }
}
