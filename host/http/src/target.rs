//! Request targets: their four forms (RFC 9112, section 3.2), and the canonical
//! form that a handler gets.

use std::borrow::Cow;

use http::uri::{Authority, Scheme};
use http::{Method, Uri};
use thiserror::Error;

/// Request target in the form in which it was sent.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// `/path?query`.
    Origin(&'a str),
    /// `http://authority/path?query`, whose path may be empty. The authority takes the
    /// place of the field `host` (RFC 9112, section 3.2.2); a request whose field names
    /// another server is refused.
    Absolute(&'a Authority, &'a str),
    /// `authority`, only with CONNECT.
    Authority(&'a str),
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// Reason for refusing a target.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadTarget {
    /// The form is unknown or belongs to another method.
    #[error("expected a path that begins with /, or a URL")]
    Form,
    /// The target has a byte that must be percent-encoded.
    #[error("it holds bytes that are not visible ASCII; expected them percent-encoded")]
    Bytes,
    /// The scheme is not http.
    #[error("its scheme is not http (RFC 9110, section 7.4)")]
    Scheme,
    /// The authority has user information: `user:password@host`.
    #[error("its authority has user information (RFC 9110, section 4.2.4)")]
    UserInformation,
}

impl<'a> Target<'a> {
    /// Determines the form of a target.
    pub(super) fn new(method: &Method, uri: &'a Uri) -> Result<Target<'a>, BadTarget> {
        let path = uri.path_and_query().map_or("", |path_and_query| path_and_query.as_str());
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadTarget::Bytes);
        }
        match (uri.scheme(), uri.authority()) {
            (_, Some(authority)) if authority.as_str().contains('@') => Err(BadTarget::UserInformation),
            (None, Some(authority)) if *method == Method::CONNECT => {
                Ok(Target::Authority(authority.as_str()))
            }
            _ if *method == Method::CONNECT => Err(BadTarget::Form),
            (Some(scheme), Some(_)) if *scheme != Scheme::HTTP => Err(BadTarget::Scheme),
            (Some(_), Some(authority)) => Ok(Target::Absolute(authority, path)),
            (None, None) if path == "*" && *method == Method::OPTIONS => Ok(Target::Asterisk),
            (None, None) if path.starts_with('/') => Ok(Target::Origin(path)),
            _ => Err(BadTarget::Form),
        }
    }

    /// Returns the target as a handler gets it: path and query; or `*`; or, with
    /// CONNECT, the authority.
    pub(super) fn canonical(&self, method: &Method) -> Cow<'a, str> {
        match *self {
            Target::Origin(path) | Target::Authority(path) => path.into(),
            Target::Asterisk => "*".into(),
            // RFC 9112, section 3.2.4: a URL without a path asks about the whole server,
            // as `*` does. `Uri` shows an empty path as `/`.
            Target::Absolute(_, "" | "/") if *method == Method::OPTIONS => "*".into(),
            Target::Absolute(_, path) if path.starts_with('/') => path.into(),
            Target::Absolute(_, query) => format!("/{query}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadTarget, Target};
    use http::Method;

    fn canonical(method: &Method, target: &str) -> Result<String, BadTarget> {
        let uri = target.parse().unwrap();
        Target::new(method, &uri).map(|target| target.canonical(method).into_owned())
    }

    #[test]
    fn a_form_of_another_method_is_none() {
        for (method, target, complaint) in [
            (Method::GET, "route", BadTarget::Form),
            (Method::GET, "a:80", BadTarget::Form),
            (Method::GET, "*", BadTarget::Form),
            (Method::CONNECT, "/", BadTarget::Form),
            (Method::CONNECT, "http://a/", BadTarget::Form),
            (Method::GET, "http://u:p@a/", BadTarget::UserInformation),
            (Method::GET, "https://a/", BadTarget::Scheme),
            (Method::GET, "/ü", BadTarget::Bytes),
        ] {
            assert_eq!(canonical(&method, target), Err(complaint), "{method} {target}");
        }
    }
}
