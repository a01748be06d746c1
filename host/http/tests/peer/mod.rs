//! Compares the request parser with that of hyper, which acts as a server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::check::{Request, read};

/// Checks that hyper and the request parser read the same requests from the bytes of a connection,
/// except for known differences.
pub async fn compare(bytes: &[u8]) {
    let (ours, refused) = read(bytes, [bytes.len()]);
    let theirs = by_hyper(bytes).await;
    for (index, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        // hyper adds the slash that a URL without a path lacks.
        let target = our.target.parse::<hyper::Uri>().map(|target| target.to_string());
        let same = (&our.method, &our.body) == (&their.method, &their.body)
            && target.ok().as_ref() == Some(&their.target)
            && by_name(our) == by_name(their);
        assert!(same, "request {index} differs: {our:?}\n{their:?}\n{}", bytes.escape_ascii());
    }
    // hyper reads no options of `connection` from a value with bytes above ASCII, so it may
    // keep or end the connection by mistake (RFC 9110, section 7.6.1).
    let is_hidden = |request: &Request| {
        request.fields.iter().any(|(name, value)| name == "connection" && !value.is_ascii())
    };
    if ours.iter().take(theirs.len()).any(is_hidden) {
        return;
    }
    if ours.len() > theirs.len() {
        let ours = &ours[theirs.len()];
        assert!(is_known(ours), "hyper refuses {ours:?}\n{}", bytes.escape_ascii());
    }
    // What hyper accepts and the parser refuses is known by the refusal, which names the
    // section of RFC 9112.
    assert!(
        theirs.len() <= ours.len() || refused.is_some(),
        "only hyper reads a request: {:?}\n{}",
        theirs[ours.len()],
        bytes.escape_ascii()
    );
}

/// Returns whether hyper is known to refuse this valid request.
fn is_known(request: &Request) -> bool {
    // A target whose form belongs to no method (RFC 9112, section 3.2): hyper refuses it with
    // the head, and the server declines it behind the head.
    request.canonical.is_err()
        // Characters that RFC 3986, section 3.3 lacks and browsers send in a query. hyper
        // takes some of them in a query only.
        || request.target.bytes().any(|byte| b"[]{}|\\^`".contains(&byte))
        // A later minor version, which counts as 1.1 (RFC 9110, section 2.5).
        || request.is_later
}

/// Returns the fields sorted by name, because hyper keeps the order only of fields with the same
/// name.
fn by_name(request: &Request) -> Vec<&(String, Vec<u8>)> {
    let mut fields: Vec<_> = request.fields.iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// Returns the requests that hyper's server reads completely from these bytes.
async fn by_hyper(bytes: &[u8]) -> Vec<Request> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let found = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let found = Arc::clone(&found);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let fields = parts.headers.iter();
                let fields =
                    fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
                found.lock().unwrap().push(Request {
                    method: parts.method.to_string(),
                    target: parts.uri.to_string(),
                    fields: fields.collect(),
                    body: body.to_bytes().to_vec(),
                    is_later: false,
                    is_last: false,
                    canonical: Ok(Vec::new()),
                });
            }
            Ok::<_, Infallible>(hyper::Response::new(Empty::<Bytes>::new()))
        }
    });
    let serving = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
    let talking = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    let _ = tokio::join!(serving, talking);
    std::mem::take(&mut *found.lock().unwrap())
}
