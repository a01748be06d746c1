//! Cross-origin resource sharing (CORS): requests of scripts from other origins (Fetch standard,
//! section 3.3).

use crate::bytes::is_token;
use crate::export::leak;
use crate::message::Message;
use crate::route::Methods;
use crate::{Request, Response};

/// Policy for requests of scripts from other origins (CORS); see
/// [`Router::cors`](crate::Router::cors).
///
/// Before some requests, a browser sends an OPTIONS request (preflight) that asks whether it may
/// send the method and the fields. The router answers the preflight itself. To other responses, the
/// router adds the fields that let the script read the response. For an origin that is not listed,
/// no response has these fields, so the browser hides the response from the script.
///
/// A policy does not protect the server, because programs other than browsers ignore it.
///
/// ```
/// use handler_sdk::test::Client;
/// use handler_sdk::{Cors, Request, Response, Router, Status, get};
///
/// const POLICY: Cors = Cors::origins(&["https://app.example"]).headers(&["x-token"]).credentials().max_age(600);
/// const ROUTES: Router = Router::new(&[get("/notes", notes)]).cors(POLICY);
///
/// fn notes(_: Request) -> Response {
///     Response::text(Status::OK, "a note")
/// }
///
/// let client = Client::new(|request| ROUTES.answer(request));
/// let reply = client.request("GET", "/notes").field("origin", "https://app.example").send();
/// assert_eq!(reply.field("access-control-allow-origin"), Some("https://app.example"));
/// assert_eq!(reply.field("vary"), Some("origin"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cors {
    /// Origins that the policy allows; `None` for all origins.
    origins: Option<&'static [&'static str]>,
    methods: Option<Methods>,
    headers: &'static [&'static str],
    exposed: &'static [&'static str],
    credentials: bool,
    max_age: Option<u32>,
}

impl Cors {
    /// Creates a policy that allows these origins, such as `https://app.example` or
    /// `http://localhost:5173`. They are compared byte by byte with the origins that browsers send,
    /// so write them in lower case, without the default port of the scheme, and without a slash at
    /// the end. The origin `null`, which sandboxed pages send, is allowed only if it is listed. Any
    /// page can make requests with this origin.
    ///
    /// # Panics
    ///
    /// When an origin does not have this form; in a `const`, a compile error.
    pub const fn origins(origins: &'static [&'static str]) -> Cors {
        let mut rest = origins;
        while let [origin, after @ ..] = rest {
            assert!(
                is_origin(origin.as_bytes()),
                "an origin is `scheme://host` or `scheme://host:port` in lower case, without a slash at the \
                 end; `Cors::any` allows all"
            );
            rest = after;
        }
        Cors { origins: Some(origins), ..Cors::any() }
    }

    /// Creates a policy that allows all origins.
    pub const fn any() -> Cors {
        Cors { origins: None, methods: None, headers: &[], exposed: &[], credentials: false, max_age: None }
    }

    /// Restricts the methods that a script may use. By default, a script may use all methods of the
    /// target.
    #[must_use]
    pub const fn methods(mut self, methods: Methods) -> Cors {
        self.methods = Some(methods);
        self
    }

    /// Allows a script to send these request fields. By default, a script may send only the fields
    /// of an HTML form: `accept`, `accept-language`, `content-language`, and `content-type` for
    /// forms and plain text. For JSON, list `content-type`.
    ///
    /// # Panics
    ///
    /// When a name is not a token; in a `const`, a compile error.
    #[must_use]
    pub const fn headers(mut self, names: &'static [&'static str]) -> Cors {
        check_names(names);
        self.headers = names;
        self
    }

    /// Allows a script to read these fields of a response, in addition to those that every
    /// script can read, such as `content-type` and `last-modified`.
    ///
    /// # Panics
    ///
    /// When a name is not a token; in a `const`, a compile error.
    #[must_use]
    pub const fn expose(mut self, names: &'static [&'static str]) -> Cors {
        check_names(names);
        self.exposed = names;
        self
    }

    /// Allows requests with cookies and HTTP authentication.
    ///
    /// # Panics
    ///
    /// When the policy allows all origins. Browsers refuse this combination, because it would open
    /// the user's session to every page. In a `const`, a compile error.
    #[must_use]
    pub const fn credentials(mut self) -> Cors {
        assert!(self.origins.is_some(), "a policy with credentials lists its origins: Cors::origins(&[...])");
        self.credentials = true;
        self
    }

    /// Sets how many seconds a browser caches the answer to a preflight. Browsers limit this to
    /// some hours. Without this setting, browsers cache the answer for 5 seconds.
    #[must_use]
    pub const fn max_age(mut self, seconds: u32) -> Cors {
        self.max_age = Some(seconds);
        self
    }

    /// Adds the fields of the policy to a response. If the policy does not allow the origin of the
    /// request, adds at most the field `vary`.
    pub(crate) fn apply<'a>(&self, request: &Request<'a>, mut response: Response<'a>) -> Response<'a> {
        let is_listed = |origin: &&[u8]| match self.origins {
            Some(origins) => origins.iter().any(|listed| listed.as_bytes() == *origin),
            None => true,
        };
        if self.origins.is_some() {
            // Needed even if the request names no origin, or one that is not listed: a
            // cache must not give this response to a script from a listed origin.
            response = response.vary("origin");
        }
        let Some(origin) = request.field("origin").filter(is_listed) else { return response };
        let origin = if self.origins.is_some() { origin } else { b"*" };
        response = response.field("access-control-allow-origin", origin);
        if self.credentials {
            response = response.field("access-control-allow-credentials", "true");
        }
        match response.allowed_methods() {
            Some(allowed) if is_preflight(request) && response.status().code() < 300 => {
                self.permit(allowed, response)
            }
            _ if !self.exposed.is_empty() => {
                response.field("access-control-expose-headers", list(self.exposed.iter().copied()))
            }
            _ => response,
        }
    }

    /// Adds the fields that answer a preflight. `allowed` are the methods of the target.
    fn permit<'a>(&self, allowed: Methods, mut response: Response<'a>) -> Response<'a> {
        let methods = self.methods.map_or(allowed, |methods| methods.and(allowed));
        response = response.field("access-control-allow-methods", list(methods.names()));
        if !self.headers.is_empty() {
            response = response.field("access-control-allow-headers", list(self.headers.iter().copied()));
        }
        if let Some(seconds) = self.max_age {
            response = response.field("access-control-max-age", decimal(seconds));
        }
        response
    }
}

fn is_preflight(request: &Request<'_>) -> bool {
    request.method_bytes() == b"OPTIONS" && request.field("access-control-request-method").is_some()
}

/// Joins names with commas into the value of a field, in leaked memory.
fn list<'n>(names: impl Iterator<Item = &'n str> + Clone) -> &'static [u8] {
    let write = |room: &mut [u8]| {
        let mut list = Message::new(room);
        for name in names.clone() {
            list.put(if list.length() == 0 { b"" } else { b", " });
            list.put(name.as_bytes());
        }
        list.length()
    };
    let room = leak(write(&mut []));
    write(room);
    room
}

/// Formats a number in decimal digits, in leaked memory.
fn decimal(number: u32) -> &'static [u8] {
    let write = |room: &mut [u8]| {
        let mut digits = Message::new(room);
        digits.put_number(number);
        digits.length()
    };
    let room = leak(write(&mut []));
    write(room);
    room
}

const fn check_names(names: &[&str]) {
    let mut rest = names;
    while let [name, after @ ..] = rest {
        assert!(is_token(name), "a field's name is a token (RFC 9110, section 5.6.2)");
        rest = after;
    }
}

/// Returns whether a text is `null`, or consists of a scheme, `://`, a host, and optionally a port
/// (RFC 6454, section 6.2).
const fn is_origin(origin: &[u8]) -> bool {
    if let b"null" = origin {
        return true;
    }
    let mut rest = origin;
    while let [b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.', after @ ..] = rest {
        rest = after;
    }
    let [b':', b'/', b'/', host @ ..] = rest else { return false };
    let is_empty = host.is_empty() || rest.len() == origin.len();
    rest = host;
    while let [b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'[' | b']', after @ ..] = rest {
        rest = after;
    }
    rest.is_empty() && !is_empty
}
