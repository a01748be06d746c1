//! Requests, and the answers that RFC 9110 requires in sections 13 and 14. The rows are
//! tested natively and through the server.

/// Row of a table: name, method and path, fields of the request, expected status, and what the
/// response must have: `name: value` for a field, `!name` for an absent field, `=body` for the
/// body.
pub type Row = (&'static str, &'static str, &'static [&'static str], u16, &'static [&'static str]);

const WHOLE: &str = "=0123456789";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Without a condition.
    ("no condition", "GET /both", &[], 200, &[WHOLE, "etag: \"v1\"", "last-modified: Sun, 06 Nov 1994 08:49:37 GMT", "accept-ranges: bytes", "!content-range"]),
    ("a weak tag is told as one", "GET /weak", &[], 200, &["etag: W/\"v1\"", "!last-modified"]),
    ("a date alone", "GET /dated", &[], 200, &["!etag", "last-modified: Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("HEAD has the fields of GET", "HEAD /both", &[], 200, &["etag: \"v1\"", "content-length: 10", "accept-ranges: bytes"]),
    ("an error has no state", "GET /gone", &["if-none-match: \"v1\""], 410, &["=gone", "!etag"]),

    // If-None-Match, section 13.1.2.
    ("the client has it", "GET /strong", &["if-none-match: \"v1\""], 304, &["=", "etag: \"v1\"", "cache-control: max-age=60", "!content-type", "!accept-ranges"]),
    ("the client has it, HEAD", "HEAD /strong", &["if-none-match: \"v1\""], 304, &["=", "etag: \"v1\""]),
    ("the client has another", "GET /strong", &["if-none-match: \"v2\""], 200, &[WHOLE]),
    ("one of several", "GET /strong", &["if-none-match: \"a\", W/\"b\",\"v1\""], 304, &["="]),
    ("one of several fields", "GET /strong", &["if-none-match: \"a\"", "if-none-match: \"v1\""], 304, &["="]),
    ("empty elements", "GET /strong", &["if-none-match: , ,\"v1\","], 304, &[]),
    ("a comma in a tag", "GET /strong", &["if-none-match: \"a,\", \"v1\""], 304, &[]),
    ("compared weakly", "GET /strong", &["if-none-match: W/\"v1\""], 304, &["etag: \"v1\""]),
    ("weak by strong", "GET /weak", &["if-none-match: \"v1\""], 304, &["etag: W/\"v1\""]),
    ("weak by weak", "GET /weak", &["if-none-match: W/\"v1\""], 304, &[]),
    ("any state", "GET /strong", &["if-none-match: *"], 304, &[]),
    ("any state, without tags", "GET /dated", &["if-none-match: *"], 304, &["last-modified: Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("a tag where there are none", "GET /dated", &["if-none-match: \"v1\""], 200, &[]),
    ("a tag in another case", "GET /strong", &["if-none-match: \"V1\""], 200, &[]),
    ("a tag without quotes", "GET /strong", &["if-none-match: v1"], 200, &[]),
    ("an open tag", "GET /strong", &["if-none-match: \"v1"], 200, &[]),
    ("tags without a comma", "GET /strong", &["if-none-match: \"v1\" \"v2\""], 200, &[]),
    ("an empty field", "GET /strong", &["if-none-match:"], 200, &[]),
    ("PUT when it has changed", "PUT /strong", &["if-none-match: \"v2\""], 204, &[]),
    ("PUT of the same state", "PUT /strong", &["if-none-match: \"v1\""], 412, &[]),
    ("PUT only if new, and it is there", "PUT /strong", &["if-none-match: *"], 412, &[]),
    ("PUT only if new, and it is", "PUT /new", &["if-none-match: *"], 204, &[]),

    // If-Modified-Since, section 13.1.3.
    ("not modified since", "GET /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 304, &["=", "etag: \"v1\"", "!last-modified"]),
    ("not modified since later", "GET /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:38 GMT"], 304, &[]),
    ("modified since", "GET /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 200, &[WHOLE]),
    ("the date alone stays", "GET /dated", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 304, &["last-modified: Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("the form of RFC 850", "GET /both", &["if-modified-since: Sunday, 06-Nov-94 08:49:37 GMT"], 304, &[]),
    ("the form of asctime", "GET /both", &["if-modified-since: Sun Nov  6 08:49:37 1994"], 304, &[]),
    ("HEAD not modified since", "HEAD /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 304, &[]),
    ("a malformed date is ignored", "GET /both", &["if-modified-since: yesterday"], 200, &[WHOLE]),
    ("two dates are ignored", "GET /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT", "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 200, &[]),
    ("no date to compare", "GET /strong", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 200, &[]),
    ("ignored for PUT", "PUT /both", &["if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 204, &[]),
    ("ignored with If-None-Match", "GET /both", &["if-none-match: \"v2\"", "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 200, &[]),
    ("If-None-Match decides", "GET /both", &["if-none-match: \"v1\"", "if-modified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 304, &[]),

    // If-Match, section 13.1.1.
    ("the expected state", "PUT /strong", &["if-match: \"v1\""], 204, &[]),
    ("another state", "PUT /strong", &["if-match: \"v2\""], 412, &[]),
    ("one of the expected states", "PUT /strong", &["if-match: \"v2\", \"v1\""], 204, &[]),
    ("compared strongly", "PUT /strong", &["if-match: W/\"v1\""], 412, &[]),
    ("a weak tag never matches", "PUT /weak", &["if-match: W/\"v1\""], 412, &[]),
    ("it is to be there", "PUT /strong", &["if-match: *"], 204, &[]),
    ("it is to be there, without tags", "PUT /dated", &["if-match: *"], 204, &[]),
    ("it is to be there, and is not", "PUT /new", &["if-match: *"], 412, &[]),
    ("a state of something that is not there", "PUT /new", &["if-match: \"v1\""], 412, &[]),
    ("GET of the expected state", "GET /strong", &["if-match: \"v1\""], 200, &[WHOLE]),
    ("GET of another state", "GET /strong", &["if-match: \"v2\""], 412, &["=", "!content-type", "!content-range"]),
    ("a malformed tag matches nothing", "PUT /strong", &["if-match: v1"], 412, &[]),

    // If-Unmodified-Since, section 13.1.4.
    ("unmodified since", "PUT /both", &["if-unmodified-since: Sun, 06 Nov 1994 08:49:37 GMT"], 204, &[]),
    ("modified meanwhile", "PUT /both", &["if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 412, &[]),
    ("modified since before 1970", "PUT /both", &["if-unmodified-since: Wed, 31 Dec 1969 23:59:59 GMT"], 412, &[]),
    ("a malformed date changes nothing", "PUT /both", &["if-unmodified-since: 1994-11-06"], 204, &[]),
    ("no date to compare with", "PUT /strong", &["if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 204, &[]),
    ("GET when modified meanwhile", "GET /both", &["if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 412, &[]),
    ("ignored with If-Match", "PUT /both", &["if-match: \"v1\"", "if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT"], 204, &[]),

    // The order of section 13.2.2.
    ("If-Match before If-None-Match", "GET /strong", &["if-match: \"v2\"", "if-none-match: \"v1\""], 412, &[]),
    ("If-None-Match after If-Match", "GET /strong", &["if-match: \"v1\"", "if-none-match: \"v1\""], 304, &[]),
    ("If-Unmodified-Since before If-None-Match", "GET /both", &["if-unmodified-since: Sun, 06 Nov 1994 08:49:36 GMT", "if-none-match: \"v1\""], 412, &[]),
    ("conditions before ranges", "GET /strong", &["if-none-match: \"v1\"", "range: bytes=0-1"], 304, &["=", "!content-range"]),
    ("a failed condition before ranges", "GET /strong", &["if-match: \"v2\"", "range: bytes=99-"], 412, &["!content-range"]),

    // Range, section 14.2.
    ("the first byte", "GET /strong", &["range: bytes=0-0"], 206, &["=0", "content-range: bytes 0-0/10", "etag: \"v1\"", "content-type: text/plain; charset=utf-8", "accept-ranges: bytes"]),
    ("the middle", "GET /strong", &["range: bytes=2-4"], 206, &["=234", "content-range: bytes 2-4/10", "content-length: 3"]),
    ("to the end", "GET /strong", &["range: bytes=7-"], 206, &["=789", "content-range: bytes 7-9/10"]),
    ("past the end", "GET /strong", &["range: bytes=8-99"], 206, &["=89", "content-range: bytes 8-9/10"]),
    ("the last bytes", "GET /strong", &["range: bytes=-3"], 206, &["=789", "content-range: bytes 7-9/10"]),
    ("more last bytes than there are", "GET /strong", &["range: bytes=-11"], 206, &[WHOLE, "content-range: bytes 0-9/10"]),
    ("all of it", "GET /strong", &["range: bytes=0-"], 206, &[WHOLE, "content-range: bytes 0-9/10"]),
    ("a unit in capitals", "GET /strong", &["range: Bytes=0-0"], 206, &["=0"]),
    ("white space and empty elements", "GET /strong", &["range: bytes= , 1-2 ,"], 206, &["=12"]),
    ("a number past 64 bits", "GET /strong", &["range: bytes=5-99999999999999999999999"], 206, &["=56789"]),
    ("begins at the end", "GET /strong", &["range: bytes=10-"], 416, &["=", "content-range: bytes */10", "!content-type"]),
    ("begins past 64 bits", "GET /strong", &["range: bytes=99999999999999999999999-"], 416, &["content-range: bytes */10"]),
    ("no last bytes", "GET /strong", &["range: bytes=-0"], 416, &["content-range: bytes */10"]),
    ("of nothing", "GET /empty", &["range: bytes=0-"], 416, &["content-range: bytes */0"]),
    ("the last bytes of nothing", "GET /empty", &["range: bytes=-5"], 200, &["="]),
    ("several ranges", "GET /strong", &["range: bytes=0-1,4-5"], 200, &[WHOLE, "!content-range"]),
    ("several, of which one exists", "GET /strong", &["range: bytes=20-30,4-5"], 206, &["=45"]),
    ("several, of which none exists", "GET /strong", &["range: bytes=20-30,40-"], 416, &[]),
    ("several with a malformed one", "GET /strong", &["range: bytes=0-1,x"], 200, &[WHOLE]),
    ("backwards", "GET /strong", &["range: bytes=4-2"], 200, &[WHOLE, "!content-range"]),
    ("no numbers", "GET /strong", &["range: bytes=-"], 200, &[WHOLE]),
    ("a sign", "GET /strong", &["range: bytes=+1-2"], 200, &[WHOLE]),
    ("no ranges", "GET /strong", &["range: bytes="], 200, &[WHOLE]),
    ("another unit", "GET /strong", &["range: lines=0-1"], 200, &[WHOLE]),
    ("two fields", "GET /strong", &["range: bytes=0-1", "range: bytes=0-1"], 200, &[WHOLE]),
    ("ignored for HEAD", "HEAD /strong", &["range: bytes=0-1"], 200, &["content-length: 10", "!content-range"]),
    ("ignored for an error", "GET /gone", &["range: bytes=0-1"], 410, &["=gone"]),

    // If-Range, section 13.1.5.
    ("a range of this state", "GET /strong", &["range: bytes=0-1", "if-range: \"v1\""], 206, &["=01"]),
    ("a range of another state", "GET /strong", &["range: bytes=0-1", "if-range: \"v2\""], 200, &[WHOLE]),
    ("past the end of another state", "GET /strong", &["range: bytes=10-", "if-range: \"v2\""], 200, &[WHOLE]),
    ("compared strongly with a weak one", "GET /strong", &["range: bytes=0-1", "if-range: W/\"v1\""], 200, &[WHOLE]),
    ("weak tags join no ranges", "GET /weak", &["range: bytes=0-1", "if-range: W/\"v1\""], 200, &[WHOLE]),
    ("a range of this date", "GET /both", &["range: bytes=0-1", "if-range: Sun, 06 Nov 1994 08:49:37 GMT"], 206, &["=01"]),
    ("a range of a later date", "GET /both", &["range: bytes=0-1", "if-range: Sun, 06 Nov 1994 08:49:38 GMT"], 200, &[WHOLE]),
    ("a date where there are none", "GET /strong", &["range: bytes=0-1", "if-range: Sun, 06 Nov 1994 08:49:37 GMT"], 200, &[WHOLE]),
    ("a tag where only dates are", "GET /dated", &["range: bytes=0-1", "if-range: \"v1\""], 200, &[WHOLE]),
    ("several tags", "GET /strong", &["range: bytes=0-1", "if-range: \"v1\", \"v2\""], 200, &[WHOLE]),
    ("malformed", "GET /strong", &["range: bytes=0-1", "if-range: v1"], 200, &[WHOLE]),
    ("without a range", "GET /strong", &["if-range: \"v2\""], 200, &[WHOLE]),
    ("for HEAD", "HEAD /strong", &["range: bytes=0-1", "if-range: \"v1\""], 200, &["content-length: 10"]),
];

/// Returns the request of a row.
pub fn request(row: &Row) -> String {
    let fields: String = row.2.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{} HTTP/1.1\r\nhost: a\r\n{fields}\r\n", row.1)
}

/// Compares a response with its row, and returns one text for each difference. `is_served` says
/// that the response came through the server, which sets `content-length` and leaves out the body
/// for HEAD.
pub fn missing(
    row: &Row,
    status: u16,
    field: impl Fn(&str) -> Option<String>,
    body: &str,
    is_served: bool,
) -> Vec<String> {
    let mut missing = Vec::new();
    if status != row.3 {
        missing.push(format!("expected {}, found {status}", row.3));
    }
    for expected in row.4 {
        let (is_met, found) = match expected.split_once(": ") {
            _ if expected.starts_with('=') => (expected[1..] == *body, Some(body.to_owned())),
            _ if expected.starts_with('!') => (field(&expected[1..]).is_none(), field(&expected[1..])),
            Some(("content-length", _)) if !is_served => continue,
            Some((name, value)) => (field(name).as_deref() == Some(value), field(name)),
            None => (false, None),
        };
        if !is_met {
            missing.push(format!("expected `{expected}`, found {found:?}"));
        }
    }
    missing
}
