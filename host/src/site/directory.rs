//! Finds the site of a request by its host and its path.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::config::limits::Limits;
use crate::config::place::{self, HOST_MAX, Host, Nowhere, Place, SEGMENTS_MAX};
use crate::config::site::DEFAULT;
use crate::metrics::OfSite;
use crate::rollout::journal::Journal;
use crate::site::probation::Probation;
use crate::site::swapper::Swapper;

/// Site: a handler with its own versions, limits and permits. It answers the requests to its hosts
/// and below its path.
#[derive(Clone)]
pub struct Site {
    /// Name of the site in the configuration and the log.
    pub name: Arc<str>,
    /// Hosts and path of the requests that the site answers.
    pub place: Place,
    /// Handle to the versions of the site.
    pub swapper: Swapper,
    /// Journal of recent requests, with which candidates are tested.
    pub journal: Arc<Journal>,
    /// Watch of the newest version, which collects requests to find out whether the version is
    /// worse than the one before.
    pub probation: Arc<Probation>,
    /// Counters of the requests and changes of the site.
    pub metrics: Arc<OfSite>,
    /// Limits of the site.
    pub limits: Arc<Limits>,
}

impl Site {
    /// Returns the name; [`None`] for the default site.
    pub fn shown(&self) -> Option<&str> {
        (&*self.name != DEFAULT).then_some(&*self.name)
    }
}

/// All sites of a server.
#[derive(Default)]
pub struct Directory {
    sites: Vec<Arc<Site>>,
    /// The only site of the server; [`None`] if there are several, or if it does not answer for all
    /// hosts and paths.
    only: Option<Arc<Site>>,
    // Keys come from the configuration, so no client can choose them to collide.
    exact: FxHashMap<String, Paths>,
    /// Sites for all subdomains of a domain, by the name of the domain.
    below: FxHashMap<String, Paths>,
    /// Sites that answer for all hosts.
    any: Paths,
}

/// Sites of one host, by their path.
#[derive(Default)]
struct Paths {
    by_prefix: FxHashMap<String, Arc<Site>>,
    /// Maximum number of path segments of these sites.
    segments: usize,
}

impl Directory {
    /// Creates the directory of these sites. If several sites have the same place, only the first
    /// is found.
    pub fn new(sites: Vec<Arc<Site>>) -> Directory {
        let only = match &sites[..] {
            [site] if site.place.is_everywhere() => Some(Arc::clone(site)),
            _ => None,
        };
        let mut directory = Directory { only, ..Directory::default() };
        for site in &sites {
            let hosts: Vec<_> = match site.place.hosts.is_empty() {
                true => vec![None],
                false => site.place.hosts.iter().map(Some).collect(),
            };
            for host in hosts {
                let paths = match host {
                    None => &mut directory.any,
                    Some(Host::Exact(name)) => directory.exact.entry(name.clone()).or_default(),
                    Some(Host::Below(name)) => directory.below.entry(name.clone()).or_default(),
                };
                let prefix = site.place.path.as_str();
                paths.segments = paths.segments.max(prefix.matches('/').count());
                paths.by_prefix.entry(prefix.into()).or_insert_with(|| Arc::clone(site));
            }
        }
        directory.sites = sites;
        directory
    }

    /// Returns all sites, in the order of the configuration.
    pub fn all(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// Returns the site with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Site>> {
        self.sites.iter().find(|site| &*site.name == name)
    }

    /// Finds the site of a request. `host` returns the host of the request, which may have a port;
    /// it is empty if the request names none. `path` may be followed by a query.
    ///
    /// # Errors
    ///
    /// When no site has the host, or when no site of the host has the path. The error says which.
    pub fn find<'a>(&self, host: impl FnOnce() -> &'a [u8], path: &str) -> Result<&Arc<Site>, Nowhere> {
        match &self.only {
            Some(only) => Ok(only),
            None => self.search(host(), path),
        }
    }

    fn search(&self, host: &[u8], path: &str) -> Result<&Arc<Site>, Nowhere> {
        let mut lower = [0; HOST_MAX];
        let host = normal(host, &mut lower);
        let address = place::ipv6(host);
        let host = address.as_deref().unwrap_or(host);
        let dots = host.match_indices('.').filter(|_| !self.below.is_empty());
        let suffixes = dots.map(|(dot, _)| host.get(dot + 1..).unwrap_or_default());
        let mut below = suffixes.filter_map(|name| self.below.get(name)).peekable();
        let exact = self.exact.get(host);
        let is_known = exact.is_some() || below.peek().is_some() || !self.any.by_prefix.is_empty();
        let (ends, count) = ends(path);
        let ends = ends.get(..count).unwrap_or_default();
        let mut groups = exact.into_iter().chain(below).chain([&self.any]);
        let found = groups.find_map(|paths| paths.find(path, ends));
        found.ok_or(if is_known { Nowhere::Path } else { Nowhere::Host })
    }
}

impl Paths {
    /// Finds the site with the longest path that `path` begins with. `ends` are the offsets at
    /// which the segments of `path` end.
    fn find(&self, path: &str, ends: &[usize]) -> Option<&Arc<Site>> {
        let ends = ends.get(..=self.segments).unwrap_or(ends);
        ends.iter().rev().find_map(|end| self.by_prefix.get(path.get(..*end)?))
    }
}

/// Returns the offsets at which the segments of a path end, in ascending order, and the number of
/// these offsets.
fn ends(path: &str) -> ([usize; SEGMENTS_MAX + 1], usize) {
    let path = path.find('?').map_or(path, |query| path.get(..query).unwrap_or_default());
    let slashes = path.match_indices('/').map(|(slash, _)| slash);
    // What is no path, such as `*`, is at the root.
    let end = if path.starts_with('/') { path.len() } else { 0 };
    let (mut ends, mut count) = ([0; SEGMENTS_MAX + 1], 0);
    for (place, found) in ends.iter_mut().zip(slashes.chain([end])) {
        *place = found;
        count += 1;
    }
    (ends, count)
}

/// Returns a host in lower case, without its port and without a dot at its end; empty if the host
/// is longer than [`HOST_MAX`].
fn normal<'a>(host: &[u8], lower: &'a mut [u8; HOST_MAX]) -> &'a str {
    let end = match host.iter().rposition(|byte| *byte == b':') {
        // The colons of an address in brackets are not those of a port.
        Some(colon) if !host.get(colon..).unwrap_or_default().contains(&b']') => colon,
        _ => host.len(),
    };
    let host = host.get(..end).unwrap_or_default();
    let host = host.strip_suffix(b".").unwrap_or(host);
    // No site has a longer name.
    let Some(room) = lower.get_mut(..host.len()) else { return "" };
    room.copy_from_slice(host);
    room.make_ascii_lowercase();
    str::from_utf8(room).unwrap_or_default()
}
