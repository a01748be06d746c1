//! Request targets: their four forms (RFC 9112, section 3.2), and the canonical
//! form that a handler gets.

use std::borrow::Cow;

use thiserror::Error;

use crate::h1::grammar::is_authority;

/// Request target in the form in which it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/path?query`.
    Origin(&'a str),
    /// Authority and path of a URL: `http://authority/path?query`, or `https` over TLS. The path
    /// may be empty. The authority replaces the field `host` (RFC 9112, section 3.2.2).
    Absolute(&'a str, &'a str),
    /// `authority`, only with CONNECT.
    Authority(&'a str),
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// Reason for refusing a target.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadTarget {
    /// The form of the target is unknown, or not allowed for the method.
    #[error("expected a path that begins with /, or a URL")]
    Form,
    /// The authority of the target is malformed: it must be a host name or an IP address, with an
    /// optional port.
    #[error("the server that it names is malformed; expected a name or an address, and perhaps a port")]
    Authority,
    /// The scheme of the target does not match the connection: `http`, or `https` over TLS.
    #[error("its scheme is not that of the connection: http, or https over TLS (RFC 9110, section 7.4)")]
    Scheme,
    /// The authority of the target has user information: `user:password@host`.
    #[error("its authority has user information (RFC 9110, section 4.2.4)")]
    UserInformation,
}

impl<'a> Target<'a> {
    /// Determines the form of a target, whose characters the caller has checked. `schemes` are the
    /// schemes that are allowed in a target that is a URL.
    pub(super) fn new(method: &str, target: &'a str, schemes: &[&str]) -> Result<Target<'a>, BadTarget> {
        if method == "CONNECT" {
            return match target.rsplit_once(':') {
                _ if target.contains('@') => Err(BadTarget::UserInformation),
                Some((_, port)) if !port.is_empty() && is_authority(target.as_bytes()) => {
                    Ok(Target::Authority(target))
                }
                _ => Err(BadTarget::Form),
            };
        }
        if target.starts_with('/') {
            return Ok(Target::Origin(target));
        }
        if target == "*" && method == "OPTIONS" {
            return Ok(Target::Asterisk);
        }
        let (scheme, rest) = target.split_once("://").ok_or(BadTarget::Form)?;
        if !is_scheme(scheme) {
            return Err(BadTarget::Form);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
        if authority.contains('@') {
            return Err(BadTarget::UserInformation);
        }
        match is_authority(authority.as_bytes()) && !authority.is_empty() {
            true if schemes.iter().any(|each| scheme.eq_ignore_ascii_case(each)) => {
                Ok(Target::Absolute(authority, path))
            }
            true => Err(BadTarget::Scheme),
            false => Err(BadTarget::Authority),
        }
    }

    /// Returns the path and the query, if any; `/` for a target without a path, even if it has a
    /// query.
    pub fn path(&self) -> &'a str {
        match *self {
            Target::Origin(path) => path,
            Target::Absolute(_, path) if path.starts_with('/') => path,
            Target::Absolute(..) | Target::Authority(_) | Target::Asterisk => "/",
        }
    }

    /// Returns the target in the form for handlers: path and query, `*`, or, with CONNECT, the
    /// authority.
    pub(super) fn canonical(&self, method: &str) -> Cow<'a, str> {
        match *self {
            Target::Origin(path) | Target::Authority(path) => path.into(),
            Target::Asterisk => "*".into(),
            // RFC 9112, section 3.2.4: a URL without a path asks about the whole server,
            // as `*` does.
            Target::Absolute(_, "") if method == "OPTIONS" => "*".into(),
            Target::Absolute(_, path) if path.starts_with('/') => path.into(),
            Target::Absolute(_, query) => format!("/{query}").into(),
        }
    }
}

/// Returns whether a text is a `scheme` (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{BadTarget, Target};

    fn canonical(method: &str, target: &str) -> Result<String, BadTarget> {
        Target::new(method, target, &["http"]).map(|target| target.canonical(method).into_owned())
    }

    #[test]
    fn a_form_of_another_method_is_none() {
        for (method, target, complaint) in [
            ("GET", "route", BadTarget::Form),
            ("GET", "a:80", BadTarget::Form),
            ("GET", "*", BadTarget::Form),
            ("GET", "://a/", BadTarget::Form),
            ("GET", "http:///", BadTarget::Authority),
            ("GET", "https://a:b/", BadTarget::Authority),
            ("CONNECT", "a", BadTarget::Form),
            ("CONNECT", "*", BadTarget::Form),
            ("CONNECT", ":443", BadTarget::Form),
            ("CONNECT", "/", BadTarget::Form),
            ("CONNECT", "http://a/", BadTarget::Form),
            ("GET", "http://u:p@a/", BadTarget::UserInformation),
            ("GET", "https://a/", BadTarget::Scheme),
        ] {
            assert_eq!(canonical(method, target), Err(complaint), "{method} {target}");
        }
    }

    #[test]
    fn a_handler_gets_path_and_query() {
        for (method, target, expected) in [
            ("GET", "/a?b", "/a?b"),
            ("GET", "HTTP://a/b?c", "/b?c"),
            ("GET", "http://a", "/"),
            ("GET", "http://a?b", "/?b"),
            ("OPTIONS", "http://a", "*"),
            ("OPTIONS", "http://a/", "/"),
            ("OPTIONS", "*", "*"),
            ("CONNECT", "a:443", "a:443"),
        ] {
            assert_eq!(canonical(method, target).as_deref(), Ok(expected), "{method} {target}");
        }
    }
}
