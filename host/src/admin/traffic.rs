//! Streams samples of the traffic to one client. A timer of each stream takes the samples, so
//! samples add no work to requests. While no client follows the traffic, the counters are not read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use host_wasm::{Calls, Engine};
use http::StatusCode;
use http::request::Parts;
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::admin::choice;
use crate::admin::metrics::memory;
use crate::admin::refusal::{Refusal, error};
use crate::admin::resources::connections;
use crate::admin::stream::Frames;
use crate::events::traffic::{INTERVAL, STREAMS_MAX};
use crate::metrics::OfSite;
use crate::metrics::histogram::Histogram;
use crate::metrics::traffic::{InUse, Reading};
use crate::serve::app::App;
use crate::site::directory::Site;

/// Source of the samples of one stream.
struct Source {
    app: Arc<App>,
    engine: Engine,
    /// Name of the site whose traffic the stream shows; [`None`] for the whole server.
    site: Option<String>,
}

/// Begins a stream of samples to a client. Sends the samples that were kept from the last minutes
/// first.
///
/// # Errors
///
/// When the site is unknown, or there are [`STREAMS_MAX`] streams of samples already.
pub(super) fn begin(
    app: &Arc<App>,
    engine: &Engine,
    parts: &Parts,
    is_gone: impl Fn() -> bool + Send + 'static,
) -> Result<Frames, Refusal> {
    let site = match choice::parameter(parts, "site") {
        Some(_) => Some(choice::site(app, parts)?.name.to_string()),
        None => None,
    };
    let permit = app.events.traffic.permit().ok_or_else(|| {
        let cause =
            format!("{STREAMS_MAX} clients follow the traffic already, which is the most; end one of them");
        error(StatusCode::SERVICE_UNAVAILABLE, cause)
    })?;
    let (sender, lines) = mpsc::channel(1);
    tokio::spawn(feed(Source { app: Arc::clone(app), engine: engine.clone(), site }, sender, is_gone));
    Ok(Frames::new(lines, permit))
}

/// Sends samples until the client leaves, the site of the stream is removed, or the server ends.
async fn feed(source: Source, sender: mpsc::Sender<Bytes>, is_gone: impl Fn() -> bool) {
    let mut ticks = interval(INTERVAL);
    // A client that reads slowly gets fewer samples, each about a longer time.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            () = sender.closed() => return,
            () = source.app.ending.closing() => return,
            // The first tick is due at once.
            _ = ticks.tick() => {}
        }
        let Some((lines, last)) = source.follow(seen).filter(|_| !is_gone()) else { return };
        // Until there is a sample, a comment shows that the stream has begun.
        let lines = if seen == 0 && lines.is_empty() { vec![Bytes::from_static(b": \n\n")] } else { lines };
        seen = last;
        if !lines.is_empty() && sender.send(lines.concat().into()).await.is_err() {
            return;
        }
    }
}

impl Source {
    /// Takes a sample if one is due. Returns the lines of all samples with a number above `seen`,
    /// and the number of the latest sample; [`None`] if the site was removed.
    fn follow(&self, seen: u64) -> Option<(Vec<Bytes>, u64)> {
        let sites = self.app.sites.get();
        let site = match self.site.as_deref() {
            Some(name) => Some(sites.named(name)?),
            None => None,
        };
        let read = || match site {
            Some(site) => self.read(std::slice::from_ref(site), None),
            None => self.read(sites.all(), Some(&self.app.metrics)),
        };
        Some(self.app.events.traffic.follow(self.site.as_deref(), seen, read))
    }

    /// Reads the counters of `sites`. If `others` is given, also reads those counters, which are
    /// for the requests that belong to no site.
    fn read(&self, sites: &[Arc<Site>], others: Option<&OfSite>) -> Reading {
        let Calls { running, waiting } = self.engine.calls();
        let mut reading = Reading {
            at: Instant::now(),
            time: SystemTime::now(),
            took: Histogram::default(),
            versions: BTreeMap::new(),
            in_use: InUse {
                connections: connections(&self.app) as u64,
                calls: running as u64,
                waiting_calls: waiting as u64,
                memory_bytes: memory().1,
            },
        };
        for site in sites {
            reading.took.add(&site.metrics.requests.costs().took);
            for (version, kinds) in site.swapper.requests() {
                // The numbers of different sites have nothing to do with each other.
                reading.add(version.filter(|_| others.is_none()), &kinds);
            }
            reading.add(None, &site.metrics.requests.without_call.read());
        }
        if let Some(OfSite { requests, .. }) = others {
            reading.took.add(&requests.costs().took);
            reading.add(None, &requests.without_call.read());
        }
        reading
    }
}
