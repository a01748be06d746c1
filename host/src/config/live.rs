//! Which settings a reload changes, and how two configurations differ.

use crate::config::setting::Settings;
use crate::config::site::{DEFAULT, SiteSource, Source};

/// Ids of the flags whose changes a reload applies. Changes of other flags need a restart.
#[rustfmt::skip]
pub const LIVE: [&str; 65] = [
    "module", "watch", "no_watch", "probe", "probe_file", "no_probe", "log_level", "trust_forwarded", "traceparent", "log_fields", "log_query", "dev",
    "no_version_field", "drain", "target_max", "head_max", "fields_max", "body_max", "head_timeout", "idle_timeout",
    "body_timeout", "var", "secret", "body_time_max", "body_rate_min", "write_timeout", "write_rate_min", "connection_requests",
    "journal", "journal_bytes", "journal_skip", "gate", "gate_time", "watch_after", "ignore_field",
    "rollout", "rollout_hold", "rollout_shadow", "rollout_percent", "rollout_key", "rollout_requests", "rollout_wait", "slower",
    "pin_from", "tls_cert", "tls_key", "tls_min", "tls_client_ca", "tls_client", "tls_timeout", "hsts", "no_h2",
    "h2c", "h2_streams", "h2_window", "h2_frame_max", "h2_table", "h2_resets", "h2_control",
    "acme", "acme_agree", "acme_email", "acme_directory", "acme_ca", "acme_dir",
];

/// Ids of the flags of a site whose changes a reload applies. Changes of the limits of calls and of
/// kept versions need a restart.
#[rustfmt::skip]
const LIVE_OF_SITE: [&str; 24] = [
    "var", "secret", "module", "watch", "no_watch", "probe", "probe_file", "no_probe",
    "journal", "journal_bytes", "journal_skip", "gate", "gate_time", "watch_after", "ignore_field",
    "rollout", "rollout_hold", "rollout_shadow", "rollout_percent", "rollout_key", "rollout_requests", "rollout_wait", "slower",
    "pin_from",
];

/// Differences between two configurations, as names of keys and sites.
pub struct Changes {
    /// Keys and sites whose changes a reload applies.
    pub applied: Vec<String>,
    /// Keys whose changes need a restart.
    pub needs_restart: Vec<String>,
}

impl Changes {
    /// Compares the configuration with which the server runs, `before`, with the new one, `after`.
    pub fn between(before: &Source, after: &Source) -> Changes {
        let (mut applied, mut needs_restart) = changes(&before.settings, &after.settings, &LIVE);
        let (more_applied, more_need_restart) = site_changes(&before.sites, &after.sites);
        applied.extend(more_applied);
        needs_restart.extend(more_need_restart);
        Changes { applied, needs_restart }
    }
}

impl Source {
    /// Copies the settings that a reload applies from `after`. Keeps the settings that need a
    /// restart, and the sites in `unchanged`, which the reload failed to change.
    pub fn reloaded(&mut self, after: Source, unchanged: &[&str]) {
        let is_left = |id: &str| unchanged.contains(&DEFAULT) && LIVE_OF_SITE.contains(&id);
        for id in LIVE.into_iter().filter(|id| !is_left(id)) {
            match after.settings.get(id) {
                Some(setting) => drop(self.settings.insert(id.into(), setting.clone())),
                None => drop(self.settings.remove(id)),
            }
        }
        self.sites = running(&self.sites, after.sites, unchanged);
        self.file = after.file;
    }
}

/// Returns the changes between two lists of sites: those that a reload applies, and those that need
/// a restart.
fn site_changes(before: &[SiteSource], after: &[SiteSource]) -> (Vec<String>, Vec<String>) {
    let (mut applied, mut needs_restart) = (Vec::new(), Vec::new());
    let find = |sites: &[SiteSource], name: &str| sites.iter().find(|site| site.name == name).cloned();
    for site in before {
        if find(after, &site.name).is_none() {
            applied.push(format!("site {} (removed)", site.name));
        }
    }
    for site in after {
        let Some(old) = find(before, &site.name) else {
            applied.push(format!("site {} (added)", site.name));
            continue;
        };
        let (live, rest) = changes(&old.settings, &site.settings, &LIVE_OF_SITE);
        let place = (old.place != site.place).then(|| "place".to_owned());
        let named = |key: String| format!("site {} ({key})", site.name);
        applied.extend(place.into_iter().chain(live).map(named));
        needs_restart.extend(rest.into_iter().map(named));
    }
    (applied, needs_restart)
}

/// Returns the sites with the settings that apply after a reload. Settings that need a restart, and
/// the sites whose names are in `unchanged`, stay as they are in `before`.
fn running(before: &[SiteSource], after: Vec<SiteSource>, unchanged: &[&str]) -> Vec<SiteSource> {
    let is_live = |id: &str| LIVE_OF_SITE.contains(&id);
    after
        .into_iter()
        .map(|mut site| {
            if let Some(old) = before.iter().find(|old| old.name == site.name) {
                if unchanged.contains(&site.name.as_str()) {
                    return old.clone();
                }
                site.settings.retain(|id, _| is_live(id));
                let kept = old.settings.iter().filter(|(id, _)| !is_live(id));
                site.settings.extend(kept.map(|(id, set)| (id.clone(), set.clone())));
            }
            site
        })
        .collect()
}

/// Returns the keys whose values differ: those whose changes a reload applies, and those whose
/// changes need a restart.
fn changes(before: &Settings, after: &Settings, live: &[&str]) -> (Vec<String>, Vec<String>) {
    let given = |settings: &Settings, id: &str| settings.get(id).map(|setting| setting.given.clone());
    let mut ids: Vec<_> = before.keys().chain(after.keys()).collect();
    ids.sort();
    ids.dedup();
    let changed = ids.into_iter().filter(|id| given(before, id) != given(after, id));
    let (live, rest): (Vec<_>, Vec<_>) = changed.partition(|id| live.contains(&id.as_str()));
    let keys = |ids: Vec<&String>| ids.into_iter().map(|id| id.replace('_', "-")).collect();
    (keys(live), keys(rest))
}
