//! Versions of a site that one server process hands over to the next in an upgrade.

use std::collections::HashMap;
use std::sync::Arc;

use crate::site::saved::State;
use crate::site::version::Label;

/// Versions of a site that a server process hands over to the process that replaces it in an
/// upgrade.
pub struct Handed {
    /// State of the site, in the form of the state file.
    pub state: State,
    /// Modules that are not in the state folder, with the labels of their versions.
    pub files: Vec<(Label, Arc<[u8]>)>,
}

impl Handed {
    /// Selects the modules that `state` names from `modules`, which maps the SHA-256 of each
    /// received module to its bytes.
    pub fn new(state: State, modules: &HashMap<String, Arc<[u8]>>) -> Handed {
        let candidate = state.rollout.iter().map(|rollout| &rollout.kept);
        let labels = state.versions.iter().chain(candidate).map(|kept| &kept.label);
        let files = labels.filter_map(|label| Some((label.clone(), Arc::clone(modules.get(&label.sha256)?))));
        let files = files.collect();
        Handed { state, files }
    }
}
