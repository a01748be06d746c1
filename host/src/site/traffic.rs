//! Chooses the version that answers a request: the current version, or the candidate of a rollout
//! in progress.

use std::sync::Arc;

use host_http::client_net::Peer;
use host_http::field::{Fields, Name};
use host_http::forwarded::Trusted;

use crate::rollout::assign::{Assignment, Key};
use crate::rollout::share::Share;
use crate::site::version::Version;

/// Versions of a site that answer requests.
#[derive(Clone)]
pub(super) struct Traffic {
    /// Current version.
    pub(super) current: Arc<Version>,
    /// Candidate of a rollout in progress.
    pub(super) split: Option<Split>,
}

/// Candidate of a rollout, and the clients that get it.
#[derive(Clone)]
pub(super) struct Split {
    pub(super) candidate: Arc<Version>,
    pub(super) assignment: Assignment,
    pub(super) key: Key,
    /// Share of the clients that get the candidate; [`None`] in a shadow rollout, whose candidate
    /// answers no client.
    pub(super) share: Option<Share>,
    /// Clients that may choose the version with the header `x-handler-version`.
    pub(super) pin_from: Arc<[Trusted]>,
}

impl Traffic {
    /// Returns the current version, and the candidate of a rollout in progress.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        [&self.current].into_iter().chain(self.split.as_ref().map(|split| &split.candidate))
    }

    /// Replaces `version` by `better`, the same version with optimised code. Returns false if
    /// `version` is neither the current version nor the candidate of a rollout.
    pub(super) fn replace(&mut self, version: &Arc<Version>, better: &Arc<Version>) -> bool {
        let candidate = self.split.as_mut().map(|split| &mut split.candidate);
        let mut all = [&mut self.current].into_iter().chain(candidate);
        let found = all.find(|one| Arc::ptr_eq(one, version));
        found.map(|one| *one = Arc::clone(better)).is_some()
    }

    /// Returns whether the candidate of a rollout answers a request. `address` is the text of the
    /// client's address.
    pub(super) fn takes_candidate(&self, fields: Fields<'_>, client: Peer, address: &str) -> bool {
        match &self.split {
            None => false,
            Some(split) => match split.pinned(fields, client) {
                Some(number) if number == split.candidate.label.number => true,
                Some(number) if number == self.current.label.number => false,
                _ => split.takes(fields, address),
            },
        }
    }
}

impl Split {
    /// Returns the number of the version that a client asks for with the header
    /// `x-handler-version`, if the client may choose.
    fn pinned(&self, fields: Fields<'_>, client: Peer) -> Option<u64> {
        if !self.pin_from.iter().any(|trusted| trusted.includes(client)) {
            return None;
        }
        let value = fields.values(Name::HandlerVersion).next()?;
        str::from_utf8(value).ok()?.parse().ok()
    }

    fn takes(&self, fields: Fields<'_>, address: &str) -> bool {
        self.share.is_some_and(|share| {
            let key = self.key.of(fields.iter(), address.as_bytes());
            self.assignment.point(key).is_within(share)
        })
    }
}
