//! The meaning of a request by RFC 9110 and RFC 9112: which statuses are right
//! before a handler sees it, whether the connection continues, and what the handler
//! gets. Shares no code with the server.

use std::net::Ipv6Addr;

use super::rfc9112::{Fields, Request, trimmed, values};

/// What may become of a request.
pub struct Meaning {
    /// Whether the target clearly has one of the four forms.
    pub is_target_sure: bool,
    /// Allowed statuses; 200 means that the handler gets the request.
    pub statuses: Vec<u16>,
    /// What the handler gets as the target, and as the field `host` if that differs
    /// from the client's.
    pub target: Vec<u8>,
    pub authority: Option<Vec<u8>>,
}

/// Fields for one connection (RFC 9110, section 7.6.1), and fields about the
/// framing (section 6.6.2).
pub const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Fields that the host sets, so that it drops those of a client.
pub const VOUCHED: [&str; 3] = ["x-request-id", "x-forwarded-for", "x-request-time"];

/// Returns the meaning of a request to a server that accepts any host.
pub fn meaning(request: &Request) -> Meaning {
    // Statuses for requests that must be, or may be, declined.
    let (mut must, mut may) = (Vec::new(), Vec::new());
    let is_target_sure;
    let mut target = request.target.clone();
    let mut authority = None;
    match form(&request.method, &request.target) {
        Form::Plain { is_sure } => {
            is_target_sure = is_sure;
            may.extend((!is_sure).then_some(400));
        }
        // The response of a handler to CONNECT would open a tunnel, so it is
        // refused.
        Form::Tunnel { is_sure } => {
            is_target_sure = is_sure;
            must.push(502);
            may.extend((!is_sure).then_some(400));
        }
        Form::Absolute { host, path, is_sure, is_http } => {
            is_target_sure = is_sure;
            may.extend((!is_sure).then_some(400));
            must.extend((!is_http).then_some(421));
            target = match path {
                b"" | b"/" if request.method == b"OPTIONS" => b"*".to_vec(),
                path if path.starts_with(b"/") => path.to_vec(),
                path => [b"/", path].concat(),
            };
            authority = Some(host.to_vec());
        }
        Form::Bad => {
            is_target_sure = false;
            must.push(400);
            // KNOWN 7: a malformed scheme may count as an unsupported one.
            may.extend(request.target.windows(3).any(|window| window == b"://").then_some(421));
        }
    }
    match check_host(request, authority.as_deref()) {
        Verdict::Right => {}
        Verdict::Doubtful => may.push(400),
        Verdict::Wrong => must.push(400),
    }
    match check_expect(request) {
        Verdict::Right => {}
        Verdict::Doubtful => may.push(417),
        Verdict::Wrong => must.push(417),
    }
    if request.is_doubtful {
        may.push(400);
    }
    // A request that is declined for another reason never gets to the handler.
    if must.iter().any(|status| *status != 502) {
        must.retain(|status| *status != 502);
    }
    if must.is_empty() {
        must.push(200);
    }
    Meaning { statuses: [must, may].concat(), target, authority, is_target_sure }
}

enum Verdict {
    Right,
    Doubtful,
    Wrong,
}

/// The forms of section 3.2 of RFC 9112. `is_sure` means that RFC 3986 allows every
/// byte; hyper's parser accepts and refuses some other bytes, and either is right.
enum Form<'a> {
    Plain { is_sure: bool },
    Absolute { host: &'a [u8], path: &'a [u8], is_sure: bool, is_http: bool },
    Tunnel { is_sure: bool },
    Bad,
}

fn form<'a>(method: &[u8], target: &'a [u8]) -> Form<'a> {
    let is_connect = method == b"CONNECT";
    if is_connect {
        return match authority(target) {
            // The port is required, but some parsers do not ask for it.
            Some(Authority { name, port, is_sure }) if !name.is_empty() && target != b"*" => {
                Form::Tunnel { is_sure: is_sure && port.is_some_and(|port| !port.is_empty()) }
            }
            _ => Form::Bad,
        };
    }
    if target == b"*" {
        return if method == b"OPTIONS" { Form::Plain { is_sure: true } } else { Form::Bad };
    }
    if target.starts_with(b"/") {
        return Form::Plain { is_sure: is_path(target) };
    }
    let Some(colon) = target.windows(3).position(|window| window == b"://") else {
        return Form::Bad;
    };
    let (scheme, rest) = (&target[..colon], &target[colon + 3..]);
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    // KNOWN 7: the http crate does not ask for a letter at the start, and accepts
    // an empty scheme.
    let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    match authority(host) {
        Some(Authority { name, is_sure, .. }) if is_scheme && !name.is_empty() => {
            let is_http = scheme.eq_ignore_ascii_case(b"http");
            Form::Absolute { host, path, is_sure: is_sure && is_http && is_path(path), is_http }
        }
        _ => Form::Bad,
    }
}

/// Tells whether text is `path-abempty [ "?" query ]` of RFC 3986.
fn is_path(path: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
    is_encoded(path, plain)
}

/// Returns whether text holds only such bytes, and `%` with two digits.
fn is_encoded(text: &[u8], plain: impl Fn(u8) -> bool) -> bool {
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = match behind {
            [a, b, behind @ ..] if *first == b'%' && a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => behind,
            behind if plain(*first) => behind,
            _ => return false,
        };
    }
    true
}

/// `uri-host [ ":" port ]`.
struct Authority<'a> {
    name: &'a [u8],
    port: Option<&'a [u8]>,
    /// Whether it has the usual form: a valid port if any, and no `IPvFuture`.
    is_sure: bool,
}

fn authority(text: &[u8]) -> Option<Authority<'_>> {
    let (name, port, mut is_sure) = if text.starts_with(b"[") {
        let end = text.iter().position(|&byte| byte == b']')?;
        let address = std::str::from_utf8(&text[1..end]).ok()?;
        let is_known = address.parse::<Ipv6Addr>().is_ok();
        if !is_known && !address.to_ascii_lowercase().starts_with('v') {
            return None;
        }
        let port = match &text[end + 1..] {
            [] => None,
            rest => Some(rest.strip_prefix(b":")?),
        };
        (&text[..=end], port, is_known)
    } else {
        let colon = text.iter().position(|&byte| byte == b':');
        let name = &text[..colon.unwrap_or(text.len())];
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        if !is_encoded(name, plain) {
            return None;
        }
        // Encoded and plain bytes need not be told apart.
        (name, colon.map(|colon| &text[colon + 1..]), !name.contains(&b'%'))
    };
    if let Some(port) = port {
        if !port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = std::str::from_utf8(port).unwrap().parse::<u16>();
        is_sure &= number.is_ok() && port.len() <= 5 && !name.is_empty();
    }
    Some(Authority { name, port, is_sure })
}

/// Applies section 3.2 of RFC 9112: one valid `host` is required. A difference to
/// the target's authority is an error for this server.
fn check_host(request: &Request, of_target: Option<&[u8]>) -> Verdict {
    let host = match values(&request.fields, "host")[..] {
        [] if request.minor == 0 => return Verdict::Right,
        [host] => host,
        _ => return Verdict::Wrong,
    };
    let Some(Authority { name, port, is_sure }) = authority(host) else {
        return Verdict::Wrong;
    };
    if let Some(of_target) = of_target {
        // A bad authority of the target is declined for that.
        let Some(other) = authority(of_target) else {
            return Verdict::Wrong;
        };
        let is_same = name.eq_ignore_ascii_case(other.name) && number(port) == number(other.port);
        return match is_sure && other.is_sure {
            true if is_same => Verdict::Right,
            true => Verdict::Wrong,
            false => Verdict::Doubtful,
        };
    }
    if is_sure { Verdict::Right } else { Verdict::Doubtful }
}

/// Returns the number of a port; the default is that of HTTP.
fn number(port: Option<&[u8]>) -> Option<u16> {
    match port {
        None | Some(b"") => Some(80),
        Some(port) => std::str::from_utf8(port).ok()?.parse().ok(),
    }
}

/// Applies section 10.1.1 of RFC 9110.
fn check_expect(request: &Request) -> Verdict {
    let values = values(&request.fields, "expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if values.iter().all(|value| known(value)) {
        return Verdict::Right;
    }
    // A list, and a client of HTTP/1.0, may be treated either way.
    let mut members = values.iter().flat_map(|value| value.split(|&byte| byte == b','));
    let all_known = members.all(|member| trimmed(member).is_empty() || known(trimmed(member)));
    if all_known || request.minor == 0 { Verdict::Doubtful } else { Verdict::Wrong }
}

/// Returns whether the client may get `100 Continue`.
pub fn may_be_told_to_continue(request: &Request) -> bool {
    request.minor == 1 && !values(&request.fields, "expect").is_empty()
}

/// Returns the options of `connection`, in lower case.
fn options(fields: &Fields) -> Vec<Vec<u8>> {
    let lists = values(fields, "connection").into_iter();
    let options = lists.flat_map(|list| list.split(|&byte| byte == b','));
    options.map(|option| trimmed(option).to_ascii_lowercase()).collect()
}

/// Returns whether `connection: close` may be missed: hyper does not see it beside
/// bytes that are not ASCII.
pub fn may_close(request: &Request) -> bool {
    // KNOWN 5.
    values(&request.fields, "connection").iter().any(|list| !list.is_ascii())
}

/// Returns whether the request is the last of its connection (RFC 9112, section
/// 9.3).
pub fn closes(request: &Request) -> bool {
    let options = options(&request.fields);
    let has = |name: &[u8]| options.iter().any(|option| option == name);
    has(b"close") || (request.minor == 0 && !has(b"keep-alive"))
}

/// Returns the fields that are forwarded: names in lower case, and fields of one
/// name together, in the place of the first.
pub fn forwarded(fields: &Fields, dropped: &[&str]) -> Fields {
    let options = options(fields);
    let mut kept: Fields = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        // `connection` cannot remove `host` and `content-length`, and its options
        // `close` and `keep-alive` are not names of fields.
        let is_own = [&b"host"[..], b"content-length", b"close", b"keep-alive"].contains(&&name[..]);
        let is_listed = !is_own && options.contains(&name);
        if is_listed || HOP_BY_HOP.iter().chain(dropped).any(|each| each.as_bytes() == name) {
            continue;
        }
        let last = kept.iter().rposition(|(each, _)| *each == name);
        kept.insert(last.map_or(kept.len(), |last| last + 1), (name, value.clone()));
    }
    kept
}
