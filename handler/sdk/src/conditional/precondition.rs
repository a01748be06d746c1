//! Preconditions of a request, in the order of RFC 9110, section 13.2.2.

use super::etag::{ETag, ETags};
use crate::Request;
use crate::date::HttpDate;

/// Entity tag and time of the last change, which identify the current state of a resource.
///
/// ```
/// use handler_sdk::{ETag, HttpDate, Precondition, Request, Response, Status, Validators};
///
/// const PAGE: Validators<'_> = Validators::of(ETag::strong("v7"));
///
/// fn page(request: Request<'_>) -> Response<'_> {
///     Response::html(Status::OK, "<h1>hello</h1>").conditional(request, &PAGE)
/// }
///
/// fn change(request: Request<'_>) -> Response<'_> {
///     match request.precondition(Some(&PAGE)) {
///         Precondition::Passed => Response::new(Status::NO_CONTENT),
///         _ => Response::new(Status::PRECONDITION_FAILED),
///     }
/// }
///
/// let code = |request: &[u8], action| handler_sdk::respond(request, action).status().code();
/// assert_eq!(code(b"GET / HTTP/1.1\r\nif-none-match: \"v7\"\r\n\r\n", page), 304);
/// assert_eq!(code(b"GET / HTTP/1.1\r\nrange: bytes=0-3\r\n\r\n", page), 206);
/// assert_eq!(code(b"PUT / HTTP/1.1\r\nif-match: \"v6\"\r\n\r\n", change), 412);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    pub(super) etag: Option<ETag<'a>>,
    pub(super) last_modified: Option<HttpDate>,
}

/// Result of evaluating the preconditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The request has no preconditions, or all of them hold. Perform the request.
    Passed,
    /// The client already has the current state. Answer 304. Only for GET and HEAD.
    NotModified,
    /// A precondition does not hold. Answer 412, and do not perform the request.
    Failed,
}

impl<'a> Validators<'a> {
    /// Creates validators with an entity tag.
    pub const fn of(etag: ETag<'a>) -> Self {
        Validators { etag: Some(etag), last_modified: None }
    }

    /// Creates validators with only the time of the last change; see [`Validators::last_modified`].
    pub const fn dated(date: HttpDate) -> Self {
        Validators { etag: None, last_modified: Some(date) }
    }

    /// Adds the time of the last change.
    ///
    /// The content must not have changed twice within that second, because a client may combine
    /// ranges from responses with equal dates (`If-Range`).
    #[must_use]
    pub const fn last_modified(mut self, date: HttpDate) -> Self {
        self.last_modified = Some(date);
        self
    }
}

impl Request<'_> {
    /// Evaluates the preconditions of the request against the current state of the resource. Pass
    /// `None` if the resource does not exist yet.
    ///
    /// The order is that of RFC 9110, section 13.2.2: `If-Match` or else
    /// `If-Unmodified-Since`, then `If-None-Match` or else, for GET and HEAD,
    /// `If-Modified-Since`. Malformed dates are ignored, and a malformed tag matches
    /// nothing. CONNECT, OPTIONS and TRACE have no preconditions.
    pub fn precondition(&self, current: Option<&Validators<'_>>) -> Precondition {
        let is_read = matches!(self.method_bytes(), b"GET" | b"HEAD");
        if matches!(self.method_bytes(), b"CONNECT" | b"OPTIONS" | b"TRACE") {
            return Precondition::Passed;
        }
        let changed = current.and_then(|current| current.last_modified);
        match self.matches("if-match", current, |one, other| one.is_same_strongly(other)) {
            Some(false) => return Precondition::Failed,
            Some(true) => {}
            None => {
                if let (Some(changed), Some(since)) = (changed, self.date("if-unmodified-since"))
                    && changed > since
                {
                    return Precondition::Failed;
                }
            }
        }
        match self.matches("if-none-match", current, |one, other| one.is_same_weakly(other)) {
            Some(true) if is_read => Precondition::NotModified,
            Some(true) => Precondition::Failed,
            Some(false) => Precondition::Passed,
            None => match (changed, self.date("if-modified-since")) {
                (Some(changed), Some(since)) if is_read && changed <= since => Precondition::NotModified,
                _ => Precondition::Passed,
            },
        }
    }

    /// Returns whether a field of the request matches the current state. `*` matches if the
    /// resource exists, and an entity tag matches if `is_same` returns true for it and the current
    /// tag. `None` if the request does not have the field.
    fn matches(
        &self,
        name: &str,
        current: Option<&Validators<'_>>,
        is_same: fn(ETag<'_>, ETag<'_>) -> bool,
    ) -> Option<bool> {
        let tag = current.and_then(|current| current.etag);
        let mut is_there = None;
        for value in self.field_values(name) {
            let is_match = match value {
                b"*" => current.is_some(),
                list => tag.is_some_and(|tag| ETags(list).any(|each| is_same(each, tag))),
            };
            is_there = Some(is_there.unwrap_or(false) || is_match);
        }
        is_there
    }

    /// Returns the value of a field as a date. `None` if the field is missing, malformed or
    /// repeated.
    pub(super) fn date(&self, name: &str) -> Option<HttpDate> {
        let value = self.only(name)?;
        match self.now() {
            Some(now) => HttpDate::parse_at(value, now),
            None => HttpDate::parse(value),
        }
    }

    /// Returns the value of a field. `None` if the field is missing or repeated.
    pub(super) fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.field_values(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}
