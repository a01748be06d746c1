//! Clients of the API at the address of `--admin`. Limits the connections of each client, and logs
//! warnings about requests without the token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use host_http::client_net::ClientNet;
use tracing::warn;

use crate::site::by::By;

/// Maximum number of connections of one client network, so that clients in other networks can
/// connect.
pub(crate) const OF_ONE_MAX: usize = 64;

/// Minimum time between two warnings about requests without the token.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Clients at the address of `--admin`: their connections, and requests without the token.
#[derive(Default)]
pub(super) struct Guests(Mutex<State>);

#[derive(Default)]
struct State {
    /// Number of connections of each client network that has any.
    connections: HashMap<ClientNet, usize>,
    /// Time of the last warning about requests without the token.
    warned: Option<Instant>,
    /// Number of requests without the token since the last warning.
    refused: u64,
}

/// Permit for one connection of a client. Dropping it releases the permit.
pub(super) struct Place {
    guests: Arc<Guests>,
    client: ClientNet,
}

impl Guests {
    /// Returns a permit for a connection of a client; [`None`] if the client already has
    /// [`OF_ONE_MAX`] connections.
    pub(super) fn enter(self: &Arc<Self>, client: ClientNet) -> Option<Place> {
        let mut state = self.state();
        let count = state.connections.entry(client).or_default();
        if *count >= OF_ONE_MAX {
            return None;
        }
        *count += 1;
        drop(state);
        Some(Place { guests: Arc::clone(self), client })
    }

    /// Counts a request without the token, and logs a warning about such requests at most once in
    /// [`WARNING_INTERVAL`].
    pub(super) fn refuse(&self, by: By) {
        let mut state = self.state();
        state.refused += 1;
        if state.warned.is_none_or(|warned| warned.elapsed() > WARNING_INTERVAL) {
            let requests = std::mem::take(&mut state.refused);
            state.warned = Some(Instant::now());
            drop(state);
            warn!(%by, requests, "command refused: it came without the token (--admin-token)");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.guests.state();
        if let Some(count) = state.connections.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                state.connections.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Guests, OF_ONE_MAX};
    use host_http::client_net::{ClientNet, Peer};
    use std::sync::Arc;

    #[test]
    fn a_client_has_its_share_of_the_places_and_gives_them_back() {
        let net = |text: &str| ClientNet::of(Peer::Ip(text.parse().unwrap())).unwrap();
        let guests = Arc::<Guests>::default();
        let greedy = net("192.0.2.1");
        let mut places: Vec<_> = (0..OF_ONE_MAX).map(|_| guests.enter(greedy).unwrap()).collect();
        assert!(guests.enter(greedy).is_none());
        assert!(guests.enter(net("192.0.2.2")).is_some());
        places.pop();
        places.push(guests.enter(greedy).unwrap());
        assert!(guests.enter(greedy).is_none());
        drop(places);
        assert!(guests.state().connections.is_empty());
    }
}
