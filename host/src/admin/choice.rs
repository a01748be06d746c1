//! Finds the site and the version that a request to the API names.

use std::sync::Arc;

use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::admin::protocol::SiteStatus;
use crate::admin::refusal::{Refusal, error, refuse};
use crate::config::site::DEFAULT;
use crate::serve::app::App;
use crate::site::directory::Site;
use crate::site::entry::{Entry, VersionState};
use crate::site::outcome::Outcome;

/// Maximum number of sites that an error message names.
const NAMES_MAX: usize = 20;

/// Returns the state of each site.
pub(super) fn sites(app: &App) -> Vec<SiteStatus> {
    let state = |site: &Arc<Site>| {
        let is_current = |entry: &Entry| entry.state == VersionState::Current;
        Some(SiteStatus {
            name: site.name.to_string(),
            hosts: site.place.hosts.iter().map(ToString::to_string).collect(),
            path: site.place.path.to_string(),
            strip_path: site.place.strip,
            serving: site.swapper.versions().into_iter().rfind(is_current)?,
            after_restart: site.swapper.after_restart(),
            rolling_out: site.swapper.rolling_out(),
        })
    };
    app.sites.get().all().iter().filter_map(state).collect()
}

/// Returns the site that the query names. Without a name, returns the site `default`, or else the
/// only site.
pub(super) fn site(app: &App, parts: &Parts) -> Result<Arc<Site>, Refusal> {
    let sites = app.sites.get();
    let names = || {
        let shown = sites.all().iter().take(NAMES_MAX).map(|site| &*site.name);
        let more = if sites.all().len() > NAMES_MAX { ", ..." } else { "" };
        format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
    };
    match parameter(parts, "site") {
        Some(name) => sites.named(&name).cloned().ok_or_else(|| {
            error(StatusCode::NOT_FOUND, format!("there is no site {name}; expected one of: {}", names()))
        }),
        None => {
            let only = || sites.all().first().filter(|_| sites.all().len() == 1);
            sites.named(DEFAULT).or_else(only).cloned().ok_or_else(|| {
                let cause = format!("there are several sites; name one (--site, ?site=): {}", names());
                error(StatusCode::BAD_REQUEST, cause)
            })
        }
    }
}

/// Returns the first value of a query parameter, ignoring empty values.
pub(super) fn parameter(parts: &Parts, name: &str) -> Option<String> {
    parameters(parts, name).next()
}

/// Returns all values of a query parameter except empty ones.
pub(super) fn parameters(parts: &Parts, name: &str) -> impl Iterator<Item = String> {
    let query = parts.uri.query().unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).filter(move |(key, _)| key == name);
    found.map(|(_, text)| text.into_owned()).filter(|text| !text.is_empty())
}

/// Returns the version whose number is given as text.
pub(super) fn version(site: &Site, number: &str) -> Result<Entry, Refusal> {
    let parsed = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number);
    let found =
        parsed.and_then(|number| site.swapper.versions().into_iter().find(|entry| entry.number == number));
    found.ok_or_else(|| {
        error(StatusCode::NOT_FOUND, format!("there is no version {number}; GET /v1/versions lists all"))
    })
}

/// Checks that the current version is one of `expected`, and returns its number. If `expected` is
/// [`None`], checks nothing and returns [`None`].
pub(super) fn check_current(site: &Site, expected: Option<Vec<u64>>) -> Result<Option<u64>, Refusal> {
    let current = site.swapper.current().label.number;
    match expected {
        Some(expected) if !expected.contains(&current) => {
            let list: Vec<_> = expected.iter().map(u64::to_string).collect();
            let list = if list.is_empty() { "none".into() } else { list.join(" or ") };
            let cause =
                format!("version {current} is current; expected version {list} (--if-version, If-Match)");
            Err(Refusal::Outdated { refused: Outcome::Refused { cause, serving: current }, current })
        }
        expected => Ok(expected.map(|_| current)),
    }
}

/// Returns the API path of a version, with the site in the query unless it is the default site.
pub(super) fn location(site: &Site, version: u64) -> String {
    let site = site.shown().map(|name| format!("?site={name}")).unwrap_or_default();
    format!("/v1/versions/{version}{site}")
}

/// Parses the field `if-match`, and returns the versions of which one must be current. Returns
/// [`None`] if the field is missing or is `*`, which every version meets.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u64>>, Refusal> {
    let fields = headers.get_all(IF_MATCH);
    if !headers.contains_key(IF_MATCH) || fields.iter().any(|value| value == "*") {
        return Ok(None);
    }
    let mut expected = Vec::new();
    for value in fields {
        let tags = value.to_str().unwrap_or("unreadable");
        for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let number =
                tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            let Some(number) = number else {
                let cause =
                    "if-match: expected the number of a version in quotation marks, such as \"3\", or *";
                return refuse(StatusCode::BAD_REQUEST, cause);
            };
            expected.push(number);
        }
    }
    Ok(Some(expected))
}
