//! Reads all metrics of the server, for `GET /metrics`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use host_wasm::health;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::admin::resources::Resources;
use crate::metrics::OfSite;
use crate::metrics::family::{Family, Labels, Samples};
use crate::metrics::histogram::Histogram;
use crate::metrics::requests::Costs;
use crate::rollout::share::Share;
use crate::serve::app::App;
use crate::site::directory::Site;
use crate::telemetry::log;
use crate::tls::orders::Orders;

/// Value of the label `version` for requests that were answered without calling a version.
const NOT_CALLED: &str = "none";

/// Value of the label `version` for requests to versions that are no longer kept.
const OLDER: &str = "older";

/// Returns all metrics of the server. `uptime` is the time since the server started.
pub(super) fn read(app: &App, resources: &Resources, uptime: Duration) -> Vec<Family> {
    let sites = app.sites.get();
    let mut families = requests(app, sites.all());
    families.extend(changes(sites.all()));
    families.extend(versions(sites.all()));
    families.extend(server(app, resources, sites.all()));
    families.extend(process(uptime));
    families
}

type Values = Vec<(Labels, f64)>;

fn counter(name: &'static str, help: &'static str, samples: Values) -> Family {
    Family { name, help, samples: Samples::Counters(samples) }
}

fn gauge(name: &'static str, help: &'static str, samples: Values) -> Family {
    Family { name, help, samples: Samples::Gauges(samples) }
}

fn times(name: &'static str, help: &'static str, samples: Vec<(Labels, Histogram)>) -> Family {
    Family { name, help, samples: Samples::Histograms(samples) }
}

/// Returns the single sample of a metric without labels.
fn one(value: f64) -> Values {
    vec![(Labels::new(), value)]
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// Returns the label `site` with the name of a site, followed by the labels in `more`.
fn of_site(site: &str, more: &[(&'static str, String)]) -> Labels {
    let mut labels = label("site", site);
    labels.extend_from_slice(more);
    labels
}

/// Returns the metrics about requests, by site. The label `site` is empty for requests that belong
/// to no site.
fn requests(app: &App, sites: &[Arc<Site>]) -> Vec<Family> {
    let (mut counts, mut received, mut sent) = (Values::new(), Values::new(), Values::new());
    let (mut took, mut ran, mut waited) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |name: &str, OfSite { requests, .. }: &OfSite, is_site: bool| {
        let Costs { took: all, ran: calls, waited: waits, received: bytes_in, sent: bytes_out } =
            requests.costs();
        took.push((label("site", name), all));
        if is_site {
            ran.push((label("site", name), calls));
            waited.push((label("site", name), waits));
        }
        received.push((label("site", name), bytes_in as f64));
        sent.push((label("site", name), bytes_out as f64));
    };
    let mut count = |name: &str, version: &str, kinds: &[(&'static str, &'static str, u64)]| {
        for (method, status, count) in kinds {
            let more = [
                ("version", version.to_owned()),
                ("method", (*method).to_owned()),
                ("status", (*status).to_owned()),
            ];
            counts.push((of_site(name, &more), *count as f64));
        }
    };
    for site in sites {
        add(&site.name, &site.metrics, true);
        for (version, kinds) in site.swapper.requests() {
            count(&site.name, &version.map_or(OLDER.into(), |number| number.to_string()), &kinds);
        }
        count(&site.name, NOT_CALLED, &site.metrics.requests.without_call.read());
    }
    add("", &app.metrics, false);
    count("", NOT_CALLED, &app.metrics.requests.without_call.read());
    let faults = app.faults.all().into_iter();
    let faults = faults.map(|(fault, count)| (label("fault", fault), count as f64)).collect();
    vec![
        counter("host_requests", "Requests that were answered.", counts),
        counter("host_faults", "Responses that the host made itself, by fault.", faults),
        times("host_request_seconds", "Time from the end of a request's head to its response.", took),
        times("host_call_seconds", "Time for which a call of the handler ran.", ran),
        times("host_queue_wait_seconds", "Time for which a call waited to run.", waited),
        counter("host_received_bytes", "Bytes of the requests that were answered.", received),
        counter("host_sent_bytes", "Bytes of the responses.", sent),
    ]
}

/// Returns the metrics about published and rejected versions, changes of rollouts, and the duration
/// of the stages of swaps, by site.
fn changes(sites: &[Arc<Site>]) -> Vec<Family> {
    let (mut published, mut rejected) = (Values::new(), Values::new());
    let (mut rollouts, mut stages) = (Values::new(), Vec::new());
    for site in sites {
        let changes = site.metrics.changes.read();
        let add = |samples: &mut Values, label: &'static str, counts: &BTreeMap<String, u64>| {
            let counts = counts.iter();
            samples.extend(
                counts.map(|(value, count)| (of_site(&site.name, &[(label, value.clone())]), *count as f64)),
            );
        };
        add(&mut published, "how", &changes.published);
        add(&mut rejected, "stage", &changes.rejected);
        add(&mut rollouts, "change", &changes.rollouts);
        let of_stage =
            |(stage, times): (&str, Histogram)| (of_site(&site.name, &[("stage", stage.into())]), times);
        stages.extend(changes.stages().map(of_stage));
    }
    vec![
        counter("host_published", "Versions that became current, by a swap or a rollback.", published),
        counter("host_rejected", "Versions that were rejected, by the stage.", rejected),
        counter("host_rollout_changes", "Changes of rollouts.", rollouts),
        times("host_stage_seconds", "Times of the stages that candidates have passed.", stages),
    ]
}

/// Returns the metrics about versions, rollouts in progress and journals, by site.
fn versions(sites: &[Arc<Site>]) -> Vec<Family> {
    let (mut serving, mut kept) = (Values::new(), Values::new());
    let (mut share, mut step) = (Values::new(), Values::new());
    let (mut journaled, mut journal) = (Values::new(), Values::new());
    for site in sites {
        let name = &*site.name;
        serving.push((label("site", name), site.swapper.current().label.number as f64));
        kept.push((label("site", name), site.swapper.kept() as f64));
        if let Some(rollout) = site.swapper.rolling_out() {
            let candidate = of_site(name, &[("version", rollout.version.to_string())]);
            let of_clients = rollout.share.as_deref().and_then(|share| share.parse().ok());
            share.push((candidate.clone(), of_clients.map_or(0.0, Share::fraction)));
            step.push((candidate, rollout.step.unwrap_or_default() as f64));
        }
        journaled.push((label("site", name), site.journal.requests() as f64));
        journal.push((label("site", name), site.journal.bytes().0 as f64));
    }
    vec![
        gauge("host_serving_version", "Number of the current version.", serving),
        gauge("host_kept_versions", "Good versions that are kept.", kept),
        gauge(
            "host_rollout_share_ratio",
            "Share of the clients that the candidate of a rollout answers.",
            share,
        ),
        gauge("host_rollout_step", "Step of a rollout, counted from 1; 0 in a shadow.", step),
        gauge("host_journal_requests", "Requests in the journal.", journaled),
        gauge("host_journal_bytes", "Memory of the journal.", journal),
    ]
}

/// Returns the metrics about the whole server, its resources and their bounds.
fn server(app: &App, resources: &Resources, sites: &[Arc<Site>]) -> Vec<Family> {
    let Resources { connections, instances, queue, uploads, buffers, kept_versions, log, memory, .. } =
        resources;
    let active = app.connections.active();
    let states = [("active", active), ("idle", (connections.used as usize).saturating_sub(active))];
    let states = states.map(|(state, count)| (label("state", state), count as f64)).to_vec();
    let restarts = health::all().into_iter();
    let restarts = restarts.map(|(thread, state)| (label("thread", thread), state.restarts as f64)).collect();
    let handshakes =
        app.connections.handshakes().map(|(result, count)| (label("result", result), count as f64)).to_vec();
    let floods =
        app.connections.floods().map(|(limit, count)| (label("limit", limit), count as f64)).to_vec();
    let headers = app.connections.headers.all().into_iter();
    let headers = headers.map(|(result, count)| (label("result", result), count as f64)).collect();
    let certificates = app.tls.as_ref().map(|tls| tls.shown().certificates).unwrap_or_default();
    let file = |path: &Path| label("file", path.display().to_string());
    let not_after =
        certificates.iter().map(|one| (file(&one.file), since_1970(one.facts.not_after()))).collect();
    let orders = app.tls.as_ref().map(|tls| &tls.orders);
    let ordered = orders.map(|orders| orders.counts().to_vec()).unwrap_or_default().into_iter();
    let ordered = ordered.map(|(result, count)| (label("result", result), count as f64)).collect();
    let next = orders.map(Orders::next).unwrap_or_default().into_iter();
    let next = next.map(|(domain, time)| (label("domain", domain), since_1970(time))).collect();
    let build = label("version", env!("CARGO_PKG_VERSION"));
    vec![
        gauge("host_build_info", "Version of the program.", vec![(build, 1.0)]),
        gauge("host_sites", "Sites.", one(sites.len() as f64)),
        gauge(
            "host_draining",
            "1 while the server ends and answers its last requests.",
            one(f64::from(app.ending.has_begun())),
        ),
        gauge("host_connections", "Open connections.", states),
        gauge("host_connections_max", "Most open connections.", one(connections.max as f64)),
        counter(
            "host_accepted_connections",
            "Connections that were accepted.",
            one(app.connections.accepted() as f64),
        ),
        counter("host_proxy_headers", "Headers of the PROXY protocol, by what came of them.", headers),
        counter("host_tls_handshakes", "TLS handshakes, by what came of them.", handshakes),
        counter(
            "host_http2_connections",
            "Connections that spoke HTTP/2.",
            one(app.connections.http2() as f64),
        ),
        counter(
            "host_http2_floods",
            "Connections of HTTP/2 that ended because their client passed a limit on frames.",
            floods,
        ),
        gauge(
            "host_certificate_not_after_seconds",
            "End of the time of a certificate that new connections get, since 1970.",
            not_after,
        ),
        counter("host_acme_orders", "Orders of certificates by ACME, by what came of them.", ordered),
        gauge(
            "host_acme_next_attempt_seconds",
            "Time of the next order by ACME for a domain, since 1970.",
            next,
        ),
        gauge("host_calls", "Calls of handlers that run.", one(instances.used as f64)),
        gauge("host_calls_max", "Most calls at once.", one(instances.max as f64)),
        gauge("host_waiting_calls", "Calls that wait to run.", one(queue.used as f64)),
        gauge("host_waiting_calls_max", "Most calls that may wait.", one(queue.max as f64)),
        gauge("host_uploads", "Modules that are received or prepared.", one(uploads.used as f64)),
        gauge("host_buffers_bytes", "Memory of counted bodies.", one(buffers.used as f64)),
        gauge("host_buffers_max_bytes", "Most memory of counted bodies.", one(buffers.max as f64)),
        gauge("host_kept_versions_bytes", "Memory of kept versions.", one(kept_versions.used as f64)),
        gauge("host_kept_versions_max_bytes", "Most memory of kept versions.", one(kept_versions.max as f64)),
        gauge("host_log_queue_bytes", "Log lines that wait to be written.", one(log.used as f64)),
        gauge("host_memory_allowed_bytes", "Memory that the limits allow in all.", one(memory.sum() as f64)),
        counter(
            "host_lost_log_lines",
            "Log lines that were dropped or could not be written.",
            one(log::QUEUE.lost() as f64),
        ),
        counter("host_thread_restarts", "Restarts of threads that had panicked.", restarts),
    ]
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Returns the size of the address space and of the resident memory of the process in bytes, as far
/// as the system reports them.
pub(super) fn memory() -> (Option<u64>, Option<u64>) {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = pages.split(' ').map_while(|pages| pages.parse::<u64>().ok());
    let page = rustix::param::page_size() as u64;
    let mut bytes = || pages.next().map(|pages| pages.saturating_mul(page));
    (bytes(), bytes())
}

/// Returns the metrics about the process, under the names that client libraries of Prometheus use.
fn process(uptime: Duration) -> Vec<Family> {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(uptime);
    let mut families = vec![
        counter("process_cpu_seconds", "CPU time of the process.", one(cpu)),
        gauge("process_start_time_seconds", "Start of the process, since 1970.", one(started.as_secs_f64())),
    ];
    let (virtual_memory, resident_memory) = memory();
    let mut add =
        |name, help, value: Option<f64>| families.extend(value.map(|value| gauge(name, help, one(value))));
    let bytes = |memory: Option<u64>| memory.map(|bytes| bytes as f64);
    add("process_virtual_memory_bytes", "Address space of the process.", bytes(virtual_memory));
    add("process_resident_memory_bytes", "Memory of the process.", bytes(resident_memory));
    let open = fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1) as f64);
    add("process_open_fds", "Open file descriptors.", open);
    let most = getrlimit(Resource::Nofile).current.map(|most| most as f64);
    add("process_max_fds", "Most open file descriptors.", most);
    let threads = fs::read_dir("/proc/self/task").ok().map(|threads| threads.count() as f64);
    add("process_threads", "Threads of the process.", threads);
    families
}
