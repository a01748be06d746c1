//! Text that `host status` prints about the state of a server.

use std::process::ExitCode;
use std::time::SystemTime;

use bytesize::ByteSize;

use crate::admin::protocol::{SiteStatus, Status};
use crate::config::site::DEFAULT;
use crate::rollout::report::number::counted;
use crate::tls::orders::ShownOrder;
use crate::tls::shown::{AllShown, Shown};

/// Returns the text and the exit code of `host status` for the state of a server.
pub(super) fn show_status(status: &Status) -> (String, ExitCode) {
    let Status {
        pid,
        host_version,
        uptime_seconds,
        urls,
        sites,
        resources,
        faults,
        threads,
        lost_log_lines,
        control,
        admin,
        tls,
        ..
    } = status;
    let control: String =
        std::iter::once(control).chain(admin).map(String::as_str).collect::<Vec<_>>().join(", ");
    let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let faults = if faults.is_empty() { "none".into() } else { faults.join(", ") };
    let threads: Vec<_> = threads
        .iter()
        .map(|(name, thread)| match (thread.restarts, &thread.cause) {
            (0, _) | (_, None) => name.clone(),
            (restarts, Some(cause)) => {
                format!("{name} (restarted {}, last because: {cause})", counted(restarts, "time", "times"))
            }
        })
        .collect();
    let certificates: String = tls.iter().map(show_certificates).collect();
    let sites: String = sites.iter().map(show_site).collect();
    let text = format!(
        "host {host_version}, process {pid}, up for {uptime_seconds} s\nlistens on {}\ntakes commands at {control}\n{certificates}{sites}{resources}threads: {}\nlog lines lost: {lost_log_lines}\nfaults: {faults}\n",
        urls.join(", "),
        threads.join(", "),
    );
    (text, ExitCode::SUCCESS)
}

/// Returns a line for each certificate in use, a line with the cause if the certificates in the
/// files are refused, and a line for each domain for which ACME has failed.
fn show_certificates(AllShown { certificates, refused, orders }: &AllShown) -> String {
    let now = SystemTime::now();
    let line = |Shown { file, facts }: &Shown| {
        let validity = facts.validity(now);
        format!("certificate {} until {}, {validity}\n", file.display(), facts.not_after)
    };
    let refused = refused.as_ref().map(|cause| format!("certificates refused, so these go on: {cause}\n"));
    let failed = |ShownOrder { domain, next, cause, .. }: &ShownOrder| {
        let cause = cause.as_ref()?;
        Some(format!("no certificate was got for {domain} by ACME, next attempt {next}: {cause}\n"))
    };
    certificates.iter().map(line).chain(refused).chain(orders.iter().filter_map(failed)).collect()
}

fn show_site(site: &SiteStatus) -> String {
    let SiteStatus { name, hosts, path, strip_path, serving, after_restart, rolling_out } = site;
    let rolling_out = rolling_out.as_ref().map(|rollout| format!("{rollout}\n"));
    let (number, origin, size, sha256) =
        (serving.number, &serving.origin, ByteSize(serving.size as u64), &serving.sha256);
    let version = format!(
        "serves version {number}: {origin}, {size}, sha256 {sha256}\n{}after a restart: {after_restart}\n",
        rolling_out.unwrap_or_default()
    );
    if name == DEFAULT {
        return version;
    }
    let hosts = if hosts.is_empty() { "all hosts".into() } else { hosts.join(", ") };
    let stripped = if *strip_path { ", stripped" } else { "" };
    format!("site {name} ({hosts}; path {path}{stripped}) {version}")
}
