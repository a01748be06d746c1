//! Exports the requests of the journal as a request file for `host test` and `--probe-file`. Masks
//! secrets.

use std::fmt::Write as _;
use std::sync::Arc;

use host_http::quote::quoted;

use crate::rollout::exchange::Exchange;
use crate::telemetry::redact::SECRET_FIELDS;
use crate::trial::request_file::expectation_in_comment;

/// Prefixes of the names of headers that the host adds to each request. The request file omits
/// these headers.
const OWN: [&str; 2] = ["x-request-", "x-forwarded-"];

/// Maximum number of bytes of a target in a comment of the request file.
const SHOWN_MAX: usize = 200;

/// Returns the text of a request file with the requests in `journal`, in the same order. Omits
/// requests that are not plain text or that ended in a fault, because a request file cannot express
/// them; a comment names each of them. `mask` hides secrets.
pub fn export(journal: &[Arc<Exchange>], mask: impl Fn(&str) -> String) -> String {
    let mut text = String::from("# Recent requests, each with the status that was answered.\n");
    for exchange in journal {
        let Exchange { method, target, answered, .. } = &**exchange;
        let why = match (answered.fault, request(exchange, &mask)) {
            (None, Some(request)) => {
                let class = exchange.class.to_string();
                let _ = write!(text, "\n### {}\n{request}\n> {}\n", mask(&class), answered.status);
                continue;
            }
            (Some(fault), _) => format!("it ended in a fault ({fault})"),
            (None, None) => "it is not plain text".into(),
        };
        let target = mask(target);
        let _ = write!(text, "\n# left out, because {why}: {method} {}\n", quoted(&target, SHOWN_MAX));
    }
    text
}

/// Returns a request as text for a request file; [`None`] if the text would be parsed as a
/// different request.
fn request(exchange: &Exchange, mask: impl Fn(&str) -> String) -> Option<String> {
    let head = str::from_utf8(&exchange.message.head).ok()?;
    let (line, fields) = head.split_once("\r\n")?;
    let (line, _version) = line.rsplit_once(' ')?;
    // A method and the name of a header may begin as a comment does.
    if head.lines().any(|line| line.starts_with('#')) {
        return None;
    }
    let mut text = format!("{line}\n");
    for field in fields.lines().take_while(|line| !line.is_empty()) {
        let (name, value) = field.split_once(": ")?;
        let is_left_out = |name: &&str| name.eq_ignore_ascii_case("content-length") || is_own(name);
        if is_left_out(&name) {
            continue;
        }
        let is_secret = SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let _ = if is_secret { writeln!(text, "{name}: ***") } else { writeln!(text, "{name}: {value}") };
    }
    let body = exchange.message.body.concat();
    let body = str::from_utf8(&body).ok()?;
    let is_plain = |line: &str| {
        let is_special = line.starts_with(['#', '>', '@', '<']) || expectation_in_comment(line).is_some();
        !is_special && !line.contains('\r')
    };
    // The reader drops empty lines at the end.
    let ends_in_blank = |text: &str| text.lines().next_back().is_some_and(|line| line.trim().is_empty());
    let is_cut = body.ends_with('\n') || ends_in_blank(body);
    if !body.split('\n').all(is_plain) || is_cut || head.contains("{{") || body.contains("{{") {
        return None;
    }
    if !body.is_empty() {
        let _ = write!(text, "\n{body}\n");
    }
    Some(mask(&text))
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own)))
}
