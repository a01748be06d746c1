//! Status codes, by their names in RFC 9110 and RFC 6585.

/// A status code and its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    code: u16,
    reason: &'static str,
}

impl Status {
    /// 200 OK
    pub const OK: Status = Status::new(200, "OK");
    /// 201 Created
    pub const CREATED: Status = Status::new(201, "Created");
    /// 202 Accepted
    pub const ACCEPTED: Status = Status::new(202, "Accepted");
    /// 204 No Content
    pub const NO_CONTENT: Status = Status::new(204, "No Content");
    /// 206 Partial Content
    pub const PARTIAL_CONTENT: Status = Status::new(206, "Partial Content");
    /// 301 Moved Permanently
    pub const MOVED_PERMANENTLY: Status = Status::new(301, "Moved Permanently");
    /// 302 Found
    pub const FOUND: Status = Status::new(302, "Found");
    /// 303 See Other
    pub const SEE_OTHER: Status = Status::new(303, "See Other");
    /// 304 Not Modified
    pub const NOT_MODIFIED: Status = Status::new(304, "Not Modified");
    /// 307 Temporary Redirect
    pub const TEMPORARY_REDIRECT: Status = Status::new(307, "Temporary Redirect");
    /// 308 Permanent Redirect
    pub const PERMANENT_REDIRECT: Status = Status::new(308, "Permanent Redirect");
    /// 400 Bad Request
    pub const BAD_REQUEST: Status = Status::new(400, "Bad Request");
    /// 401 Unauthorized
    pub const UNAUTHORIZED: Status = Status::new(401, "Unauthorized");
    /// 403 Forbidden
    pub const FORBIDDEN: Status = Status::new(403, "Forbidden");
    /// 404 Not Found
    pub const NOT_FOUND: Status = Status::new(404, "Not Found");
    /// 405 Method Not Allowed
    pub const METHOD_NOT_ALLOWED: Status = Status::new(405, "Method Not Allowed");
    /// 406 Not Acceptable
    pub const NOT_ACCEPTABLE: Status = Status::new(406, "Not Acceptable");
    /// 409 Conflict
    pub const CONFLICT: Status = Status::new(409, "Conflict");
    /// 410 Gone
    pub const GONE: Status = Status::new(410, "Gone");
    /// 412 Precondition Failed
    pub const PRECONDITION_FAILED: Status = Status::new(412, "Precondition Failed");
    /// 413 Content Too Large
    pub const CONTENT_TOO_LARGE: Status = Status::new(413, "Content Too Large");
    /// 415 Unsupported Media Type
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status::new(415, "Unsupported Media Type");
    /// 416 Range Not Satisfiable
    pub const RANGE_NOT_SATISFIABLE: Status = Status::new(416, "Range Not Satisfiable");
    /// 422 Unprocessable Content
    pub const UNPROCESSABLE_CONTENT: Status = Status::new(422, "Unprocessable Content");
    /// 429 Too Many Requests
    pub const TOO_MANY_REQUESTS: Status = Status::new(429, "Too Many Requests");
    /// 500 Internal Server Error
    pub const INTERNAL_SERVER_ERROR: Status = Status::new(500, "Internal Server Error");
    /// 501 Not Implemented
    pub const NOT_IMPLEMENTED: Status = Status::new(501, "Not Implemented");
    /// 503 Service Unavailable
    pub const SERVICE_UNAVAILABLE: Status = Status::new(503, "Service Unavailable");

    /// Creates a status with any final code and reason phrase.
    ///
    /// # Panics
    ///
    /// When the code is not a final one (200 to 599), or the phrase holds
    /// control bytes; in a `const`, a compile error.
    ///
    /// ```
    /// # use handler_sdk::Status;
    /// const TEAPOT: Status = Status::new(418, "I'm a teapot");
    /// assert_eq!(TEAPOT.code(), 418);
    /// ```
    #[track_caller]
    pub const fn new(code: u16, reason: &'static str) -> Status {
        assert!(200 <= code && code <= 599, "a final status code is 200 to 599");
        let mut rest = reason.as_bytes();
        while let [byte, after @ ..] = rest {
            assert!(*byte >= b' ' && *byte != 0x7f, "a reason phrase has no control bytes");
            rest = after;
        }
        Status { code, reason }
    }

    /// Returns the code, 200 to 599.
    pub const fn code(self) -> u16 {
        self.code
    }

    /// Returns the reason phrase.
    pub const fn reason(self) -> &'static str {
        self.reason
    }
}
