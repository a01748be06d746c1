//! Writes the head of an HTTP/2 request in the form of HTTP/1.1, so that one parser enforces the
//! rules and limits for heads.

use http::Method;
use http::header::{COOKIE, HOST};
use http::request::Parts;

use crate::authority::BadHost;
use crate::field::put;
use crate::request::{BadRequest, Tls};
use crate::target::BadTarget;

/// Appends the head of a request to `to`, in the form of HTTP/1.1. The target is in origin form or
/// `*`, or, with CONNECT, the authority. If the request has an authority, the field `host` contains
/// it. Joins the fields `cookie` into one.
pub fn write_head(to: &mut Vec<u8>, parts: &Parts) {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let target = match parts.uri.path_and_query() {
        _ if parts.method == Method::CONNECT => authority.unwrap_or_default(),
        Some(target) => target.as_str(),
        None => "",
    };
    put(to, [parts.method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"]);
    if let Some(authority) = authority {
        put(to, [b"host: ", authority.as_bytes(), b"\r\n"]);
    }
    let mut is_in_cookie = false;
    for (name, value) in &parts.headers {
        // `agrees` has compared it with the authority.
        if name == HOST && authority.is_some() {
            continue;
        }
        // Section 8.2.3: a client may split its cookies. Fields of one name stand together here.
        let joins = is_in_cookie && name == COOKIE;
        match joins {
            true => put(to, [b"; ", value.as_bytes()]),
            false => {
                let end: &[u8] = if is_in_cookie { b"\r\n" } else { b"" };
                put(to, [end, name.as_str().as_bytes(), b": ", value.as_bytes()]);
            }
        }
        is_in_cookie = name == COOKIE;
        if !is_in_cookie {
            to.extend_from_slice(b"\r\n");
        }
    }
    if is_in_cookie {
        to.extend_from_slice(b"\r\n");
    }
    to.extend_from_slice(b"\r\n");
}

/// Checks that the scheme of a request fits the connection, and that its field `host` equals its
/// authority.
///
/// # Errors
///
/// When the scheme does not fit the connection, or the field `host` is repeated or differs from the
/// authority.
pub fn agrees(parts: &Parts, tls: Tls<'_>) -> Result<(), BadRequest> {
    if let Some(scheme) = parts.uri.scheme_str()
        && !tls.has_scheme(scheme)
    {
        return Err(BadTarget::Scheme.into());
    }
    // Section 8.3.1.
    if let Some(authority) = parts.uri.authority() {
        let other = |host: &http::HeaderValue| {
            !host.as_bytes().trim_ascii().eq_ignore_ascii_case(authority.as_str().as_bytes())
        };
        let hosts = parts.headers.get_all(HOST);
        let count = hosts.iter().count();
        if count > 1 {
            return Err(BadHost::Repeated { count }.into());
        }
        if hosts.iter().any(other) {
            return Err(BadHost::Differs.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{agrees, write_head};
    use crate::request::Tls;
    use http::Request;
    use http::request::Parts;

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri(uri);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn head(parts: &Parts) -> String {
        let mut head = Vec::new();
        write_head(&mut head, parts);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn a_head_reads_as_that_of_http_1() {
        for (method, uri, fields, expected) in [
            ("GET", "https://a/b?c", &[("x-a", "1")][..], "GET /b?c HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n\r\n"),
            ("OPTIONS", "*", &[("host", "a")], "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("CONNECT", "a:1", &[], "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"),
            ("GET", "http://a/", &[("host", "A")], "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
            (
                "GET",
                "http://a/",
                &[("cookie", "a=1"), ("x-b", "2"), ("cookie", "c=3"), ("x-b", "4")],
                "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; c=3\r\nx-b: 2\r\nx-b: 4\r\n\r\n",
            ),
            (
                "GET",
                "http://a/",
                &[("x-b", ""), ("cookie", "a=1"), ("cookie", "c=3")],
                "GET / HTTP/1.1\r\nhost: a\r\nx-b: \r\ncookie: a=1; c=3\r\n\r\n",
            ),
        ] {
            assert_eq!(head(&parts(method, uri, fields)), expected);
        }
    }

    #[test]
    fn authority_host_scheme_and_connection_agree() {
        let check = |uri: &str, host: &str, tls| {
            agrees(&parts("GET", uri, &[("host", host)]), tls).map_err(|error| error.to_string())
        };
        assert_eq!(check("http://a:1/", "A:1", Tls::Off), Ok(()));
        assert_eq!(check("http://a/", "a", Tls::AsSent), Ok(()));
        assert_eq!(check("https://a/", "a", Tls::On(None)), Ok(()));
        assert!(check("http://a/", "b", Tls::Off).unwrap_err().contains(":authority"));
        let twice = parts("GET", "http://a/", &[("host", "a"), ("host", "a")]);
        assert!(agrees(&twice, Tls::Off).unwrap_err().to_string().contains("2 times"));
        assert!(check("https://a/", "a", Tls::Off).unwrap_err().contains("scheme"));
        assert!(check("ftp://a/", "a", Tls::AsSent).unwrap_err().contains("scheme"));
    }
}
