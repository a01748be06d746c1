//! Meaning of a request according to RFC 9110 and RFC 9112: with which statuses the server may
//! decline it, whether the connection stays open, and what the handler gets. Shares no code with
//! the server.

use std::net::Ipv6Addr;

use super::rfc9112::{Fields, Request, number, trimmed, values};

/// Allowed outcomes of a request.
pub struct Meaning {
    /// Whether the target clearly has one of the four forms of RFC 9112, section 3.2.
    pub is_target_sure: bool,
    /// Allowed statuses; 200 means that the handler gets the request.
    pub statuses: Vec<u16>,
    /// Target that the handler gets.
    pub target: Vec<u8>,
    /// `host` header that the handler gets, if the authority in the target replaces the header of
    /// the client.
    pub authority: Option<Vec<u8>>,
}

/// Headers that are not forwarded, because they are for one connection (RFC 9110, section
/// 7.6.1) or about trailers (section 6.6.2).
pub const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Headers that the host sets for the handler. The host drops headers with these names that a
/// client sends.
pub const VOUCHED: [&str; 3] = ["x-request-id", "x-forwarded-for", "x-request-time"];

/// Returns the meaning of a request to a server that accepts any host.
pub fn meaning(request: &Request) -> Meaning {
    // Statuses with which the server must, or may, decline the request.
    let (mut must, mut may) = (Vec::new(), Vec::new());
    let mut target = request.target.clone();
    let mut authority = None;
    let (form, is_target_sure) = form(&request.method, &request.target);
    may.extend((!is_target_sure).then_some(400));
    match form {
        Form::Plain => {}
        // A successful response to CONNECT would open a tunnel, so the server refuses the
        // handler's response.
        Form::Tunnel => must.push(502),
        Form::Absolute { host, path, is_http } => {
            must.extend((!is_http).then_some(421));
            target = match path {
                b"" if request.method == b"OPTIONS" => b"*".to_vec(),
                path if path.starts_with(b"/") => path.to_vec(),
                path => [b"/", path].concat(),
            };
            authority = Some(host.to_vec());
        }
        Form::Bad => must.push(400),
    }
    for (verdict, status) in [(check_host(request, authority.as_deref()), 400), (check_expect(request), 417)]
    {
        match verdict {
            Verdict::Right => {}
            Verdict::Doubtful => may.push(status),
            Verdict::Wrong => must.push(status),
        }
    }
    // 502 needs a response of the handler, which a declined request never gets to.
    if must.iter().any(|status| *status != 502) {
        must.retain(|status| *status != 502);
    }
    must.extend(must.is_empty().then_some(200));
    Meaning { statuses: [must, may].concat(), target, authority, is_target_sure }
}

enum Verdict {
    Right,
    Doubtful,
    Wrong,
}

/// Form of a target (RFC 9112, section 3.2). `Plain` is a path or `*`.
enum Form<'a> {
    Plain,
    Absolute { host: &'a [u8], path: &'a [u8], is_http: bool },
    Tunnel,
    Bad,
}

/// Returns the form of a target, and whether RFC 3986 allows all its bytes. If it does not,
/// the server may serve or refuse the request: it accepts some bytes that browsers send.
fn form<'a>(method: &[u8], target: &'a [u8]) -> (Form<'a>, bool) {
    let bad = (Form::Bad, false);
    if method == b"CONNECT" {
        return match authority(target) {
            // The port is required, but some parsers accept a target without it.
            Some(Authority { name, port, is_sure }) if !name.is_empty() && target != b"*" => {
                (Form::Tunnel, is_sure && port.is_some_and(|port| !port.is_empty()))
            }
            _ => bad,
        };
    }
    if target == b"*" {
        return if method == b"OPTIONS" { (Form::Plain, true) } else { bad };
    }
    if target.starts_with(b"/") {
        return (Form::Plain, is_path(target));
    }
    let Some(colon) = target.windows(3).position(|window| window == b"://") else {
        return bad;
    };
    let (scheme, rest) = (&target[..colon], &target[colon + 3..]);
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    match authority(host) {
        Some(Authority { name, is_sure, .. }) if is_scheme && !name.is_empty() => {
            let is_http = scheme.eq_ignore_ascii_case(b"http");
            (Form::Absolute { host, path, is_http }, is_sure && is_http && is_path(path))
        }
        _ => bad,
    }
}

/// Returns whether a text is `path-abempty [ "?" query ]` by RFC 3986.
fn is_path(path: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
    is_encoded(path, plain)
}

/// Returns whether a text consists of bytes for which `plain` returns true, and of `%` followed by
/// two hexadecimal digits.
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

/// Authority of a URL or a `host` header: `uri-host [ ":" port ]`.
struct Authority<'a> {
    name: &'a [u8],
    port: Option<&'a [u8]>,
    /// Whether the form is usual: a valid port if any, no `%`, and no `IPvFuture`. Servers
    /// may refuse other forms.
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
        // A name with `%` is doubtful: the server need not know that an encoded byte
        // equals the plain one.
        (name, colon.map(|colon| &text[colon + 1..]), !name.contains(&b'%'))
    };
    if let Some(port) = port {
        if !port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        is_sure &= number::<u16>(port).is_some() && port.len() <= 5 && !name.is_empty();
    }
    Some(Authority { name, port, is_sure })
}

/// Checks the `host` headers (RFC 9112, section 3.2): HTTP/1.1 requires exactly one valid
/// value, even if the authority of the target takes its place.
fn check_host(request: &Request, of_target: Option<&[u8]>) -> Verdict {
    let host = match values(&request.fields, "host")[..] {
        [] if request.minor == 0 => return Verdict::Right,
        [host] => host,
        _ => return Verdict::Wrong,
    };
    let Some(Authority { is_sure, .. }) = authority(host) else {
        return Verdict::Wrong;
    };
    // The server declines a target with a bad authority.
    let is_sure = match of_target.map(authority) {
        Some(None) => return Verdict::Wrong,
        Some(Some(other)) => is_sure && other.is_sure,
        None => is_sure,
    };
    if is_sure { Verdict::Right } else { Verdict::Doubtful }
}

/// Checks the `expect` headers (RFC 9110, section 10.1.1).
fn check_expect(request: &Request) -> Verdict {
    let values = values(&request.fields, "expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if values.iter().all(|value| known(value)) {
        return Verdict::Right;
    }
    // The server may accept or decline a list of `100-continue`, and any expectation of an
    // HTTP/1.0 client.
    let mut members = values.iter().flat_map(|value| value.split(|&byte| byte == b','));
    let all_known = members.all(|member| trimmed(member).is_empty() || known(trimmed(member)));
    if all_known || request.minor == 0 { Verdict::Doubtful } else { Verdict::Wrong }
}

/// Returns whether the server may send `100 Continue`.
pub fn may_be_told_to_continue(request: &Request) -> bool {
    request.minor == 1 && !values(&request.fields, "expect").is_empty()
}

/// Returns the options in all `connection` headers, in lower case.
fn options(fields: &Fields) -> Vec<Vec<u8>> {
    let lists = values(fields, "connection").into_iter();
    let options = lists.flat_map(|list| list.split(|&byte| byte == b','));
    options.map(|option| trimmed(option).to_ascii_lowercase()).collect()
}

/// Returns whether the request is the last one of its connection (RFC 9112, section 9.3).
pub fn closes(request: &Request) -> bool {
    let options = options(&request.fields);
    let has = |name: &[u8]| options.iter().any(|option| option == name);
    has(b"close") || (request.minor == 0 && !has(b"keep-alive"))
}

/// Returns the headers that are forwarded: all but hop-by-hop headers and those in
/// `dropped`. Names are in lower case.
pub fn forwarded(fields: &Fields, dropped: &[&str]) -> Fields {
    let options = options(fields);
    let mut kept: Fields = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        // The options of `connection` name headers to remove, except `host` and
        // `content-length`, which stay, and `close` and `keep-alive`, which are no headers.
        let is_own = [&b"host"[..], b"content-length", b"close", b"keep-alive"].contains(&&name[..]);
        let is_listed = !is_own && options.contains(&name);
        if is_listed || HOP_BY_HOP.iter().chain(dropped).any(|each| each.as_bytes() == name) {
            continue;
        }
        kept.push((name, value.clone()));
    }
    kept
}
