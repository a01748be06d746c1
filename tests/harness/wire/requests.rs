//! Sends bytes to the server as a client, and compares the responses with the RFCs. The served
//! module answers with the request that it got as the body.

use super::replies::{Output, Reply, own_page, own_reason};
use super::rfc9110::{self, VOUCHED, forwarded, meaning};
use super::rfc9112::{self, Bounds, End, Request, values};
use super::{CLIENT, Host};

/// Limits of the server, so low that random input often exceeds them.
const BOUNDS: Bounds = Bounds { target: 64, head: 512, fields: 8, body: 256 };

/// Returns a server with the limits of `BOUNDS`.
pub fn host() -> Host {
    Host::new("show.wat", &["--target-max=64", "--head-max=512", "--fields-max=8", "--body-max=256"])
}

/// Sends input to the server, and checks the output. The first byte of the input is not
/// sent: it says how to cut the other bytes into pieces.
pub fn check(host: &Host, input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    let output = host.ask(pieces(cut, bytes));
    let about = format!("cut {cut}, sent:\n{}\ngot:\n{}\n", readable(bytes), readable(&output));
    let (requests, end) = rfc9112::requests(bytes, &BOUNDS);
    let mut output = Output::new(&output);
    for request in &requests {
        if !judge(request, &mut output, &about) {
            assert!(output.is_at_end(), "there is more behind the end: {}\n{about}", output.rest());
            return;
        }
    }
    match end {
        End::Clean | End::Unfinished => {}
        End::Refused { statuses, or_silence, is_head } => {
            if !or_silence || !output.is_at_end() {
                let reply = next(&mut output, if is_head { b"HEAD" } else { b"GET" }, &about);
                refused(&reply, &statuses, is_head, &about);
            }
        }
        End::Broken(request, statuses) if judge_broken(&request, &statuses, &mut output, &about) => {}
        End::Broken(..) | End::Unsaid => return,
    }
    assert!(output.is_at_end(), "there is more: {}\n{about}", output.rest());
}

fn readable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\n", "\\n\n")
}

/// Cuts input into pieces as the number `cut` says: into one, into pieces of equal length, or into
/// two.
fn pieces(cut: u8, bytes: &[u8]) -> Vec<&[u8]> {
    match usize::from(cut) {
        0 => vec![bytes],
        // At most about 64 pieces, because each takes time.
        length @ 1..128 => bytes.chunks(length.max(bytes.len() / 64 + 1)).collect(),
        share => {
            let (first, second) = bytes.split_at(bytes.len() * (share - 128) / 128);
            vec![first, second]
        }
    }
}

fn next(output: &mut Output<'_>, method: &[u8], about: &str) -> Reply {
    output.next(method).unwrap_or_else(|why| panic!("no response: {why}\n{about}"))
}

/// Reads the final response to a request, and skips `100 Continue` if it is allowed.
fn next_final(request: &Request, output: &mut Output<'_>, about: &str) -> Reply {
    let reply = next(output, &request.method, about);
    if reply.status == 100 && rfc9110::may_be_told_to_continue(request) {
        assert!(reply.fields.is_empty(), "{about}");
        return next(output, &request.method, about);
    }
    reply
}

/// Checks the response to a request. Returns whether another response may follow.
fn judge(request: &Request, output: &mut Output<'_>, about: &str) -> bool {
    let meaning = meaning(request);
    let reply = next_final(request, output, about);
    let statuses = &meaning.statuses;
    assert!(statuses.contains(&reply.status), "{} instead of {statuses:?}\n{about}", reply.status);
    let is_last = rfc9110::closes(request);
    let is_head = request.method == b"HEAD";
    if reply.status != 200 {
        house(&reply, is_head, about);
    } else if !is_head {
        canonical(request, &meaning, &reply, about);
    }
    assert!(reply.status != 200 || reply.reason == b"OK", "{about}");
    // The body of a request that is declined by its head is not read.
    let is_unread = ![200, 502].contains(&reply.status) && (request.is_chunked || !request.body.is_empty());
    if reply.closes() {
        // Where the bytes of the target are doubtful, the server may refuse the whole
        // message with 400 and close the connection.
        let is_refused = reply.status == 400 && (statuses.len() > 1 || !meaning.is_target_sure);
        assert!(is_last || is_unread || is_refused, "it closes\n{about}");
        return false;
    }
    assert!(!is_last && !is_unread, "it does not say that it closes\n{about}");
    true
}

/// Checks the response to a request with a bad body. The server may decline the request because of
/// its head, before it sees the body. Returns whether no further response may follow.
fn judge_broken(request: &Request, statuses: &[u16], output: &mut Output<'_>, about: &str) -> bool {
    let declined = meaning(request).statuses;
    // Whether the head alone requires that the request is declined.
    let must = !declined.contains(&200) && !declined.contains(&502);
    let reply = match must {
        true => next(output, &request.method, about),
        false => next_final(request, output, about),
    };
    let is_head = request.method == b"HEAD";
    let is_declined = declined.contains(&reply.status) && ![200, 502].contains(&reply.status);
    if is_declined && !(statuses.contains(&reply.status) && reply.closes()) {
        house(&reply, is_head, about);
        // The server may skip a body that is only too long, and answer further requests on
        // the connection.
        return reply.closes() || !statuses.contains(&413);
    }
    refused(&reply, statuses, is_head, about);
    true
}

/// Checks the response to refused bytes, after which the connection closes.
fn refused(reply: &Reply, statuses: &[u16], is_head: bool, about: &str) {
    assert!(statuses.contains(&reply.status), "{} instead of {statuses:?}\n{about}", reply.status);
    house(reply, is_head, about);
    assert!(reply.closes(), "it does not say that it closes\n{about}");
}

/// Checks the form of a response that the host makes itself.
pub fn house(reply: &Reply, is_head: bool, about: &str) {
    let reason = own_reason(reply.status).unwrap_or_else(|| panic!("{}\n{about}", reply.status));
    assert_eq!(reply.reason, reason.as_bytes(), "{about}");
    let page = own_page(reply.status);
    assert_eq!(reply.field("content-type"), Some(&b"text/html; charset=utf-8"[..]), "{about}");
    assert_eq!(reply.field("content-length"), Some(page.len().to_string().as_bytes()), "{about}");
    assert!(reply.field("x-request-id").is_some() && reply.field("date").is_some(), "{about}");
    assert_eq!(reply.body, if is_head { b"" } else { page.as_bytes() }, "{about}");
}

/// Checks the request that the module got, which is the body of the response.
fn canonical(request: &Request, meaning: &rfc9110::Meaning, reply: &Reply, about: &str) {
    let (found, end) = rfc9112::requests(&reply.body, &Bounds::NONE);
    let [found] = &found[..] else {
        panic!("the module got {} messages\n{about}", found.len());
    };
    assert_eq!(end, End::Clean, "{about}");
    assert!(found.minor == 1 && !found.is_chunked, "{about}");
    assert_eq!((&found.method, &found.target), (&request.method, &meaning.target), "{about}");
    assert_eq!(found.body, request.body, "{about}");
    let lengths = values(&found.fields, "content-length");
    match request.body.len() {
        0 => assert!(lengths.is_empty(), "{about}"),
        length => assert_eq!(lengths, [length.to_string().as_bytes()], "{about}"),
    }
    let value = |name: &str| match values(&found.fields, name)[..] {
        [value] => value,
        _ => panic!("{name} is not there once\n{about}"),
    };
    assert_eq!(Some(value("x-request-id")), reply.field("x-request-id"), "{about}");
    assert_eq!(value("x-forwarded-for"), CLIENT.as_bytes(), "{about}");
    let time = value("x-request-time");
    assert!(time.len() == 13 && time.iter().all(u8::is_ascii_digit), "{about}");

    // Leaves out headers that the host itself writes: they are compared above.
    let own = [&VOUCHED[..], &["content-length", "expect"]].concat();
    let mut expected = forwarded(&request.fields, &own);
    if let Some(authority) = &meaning.authority {
        expected.retain(|(name, _)| name != b"host");
        expected.insert(0, (b"host".to_vec(), authority.clone()));
    }
    let mut fields = found.fields.clone();
    let is_own = |name: &[u8]| name == b"content-length" || VOUCHED.iter().any(|own| own.as_bytes() == name);
    fields.retain(|(name, _)| !is_own(name));
    assert_eq!(show(&fields), show(&expected), "{about}");
}

/// Returns headers as text, escaped for a message.
pub fn show(fields: &rfc9112::Fields) -> Vec<String> {
    fields.iter().map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())).collect()
}
