//! Classes of requests: method, status and shape of the target. The traffic journal keeps
//! a fair share of each class.
//!
//! The shape of a target omits what differs between requests of one kind: `/items/42?page=3` has
//! the shape `/items/*?page=`. Path segments that are plain words stay, and other segments become
//! `*`. The names of query parameters stay, and their values are omitted.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use memchr::memchr;

/// Maximum number of bytes of a method in a class. A longer method is cut.
pub const METHOD_MAX: usize = 16;

/// Maximum number of path segments in a shape. `/...` stands for all further segments.
const SEGMENTS_MAX: usize = 8;

/// Maximum number of query parameters in a shape. One `*` stands for all further parameters.
const PARAMETERS_MAX: usize = 8;

/// Maximum number of bytes of a word that stays in a shape. Longer words are seldom part of a
/// route.
const WORD_MAX: usize = 32;

/// Maximum number of digits of an API version such as `v2`.
const VERSION_DIGITS_MAX: usize = 3;

/// Random key of the hash in [`fingerprint`]. Without it, a client could choose targets whose
/// fingerprint is that of another class, and so keep the requests of that class out of the journal.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Class of requests, such as `GET /items/*?page= 200`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// Method, cut to [`METHOD_MAX`] bytes; `*` for a nonstandard method if the status is an error.
    pub method: Box<str>,
    /// Status of the response.
    pub status: u16,
    /// Shape of the target, such as `/items/*?page=`.
    pub shape: Box<str>,
}

impl Class {
    /// Returns the class of a request that has a canonical target and was answered with `status`.
    pub fn new(method: &str, target: &str, status: u16) -> Class {
        let mut shape = String::new();
        write_shape(target, status, |text| shape.push_str(text));
        Class { method: class_method(method, status).into(), status, shape: shape.into() }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.shape, self.status)
    }
}

/// Returns a hash of the class of a request, without building the [`Class`]. Hashes are equal for
/// requests of one class, and almost always differ between classes. They also differ between
/// processes.
pub fn fingerprint(method: &str, target: &str, status: u16) -> u64 {
    let method = class_method(method, status);
    // SipHash takes about a quarter of the time here, so a weaker hash would gain little.
    let mut hasher = KEY.build_hasher();
    // The length separates the method from the shape; a method has at most 16 bytes.
    hasher.write_u32(u32::from(status) << 8 | method.len() as u32);
    hasher.write(method.as_bytes());
    write_shape(target, status, |text| hasher.write(text.as_bytes()));
    hasher.finish()
}

/// Returns the method of a class. If the status is an error, returns `*` for all methods that are
/// not in RFC 9110 or RFC 5789, because scanners invent methods.
fn class_method(method: &str, status: u16) -> &str {
    if status >= 400 && !is_usual_method(method) {
        return "*";
    }
    method.get(..method.floor_char_boundary(METHOD_MAX)).unwrap_or_default()
}

fn is_usual_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE" | "CONNECT")
}

/// Returns whether a status says that the handler has no resource at the target (404 or 501).
/// Scanners request an unlimited number of such targets, so their shape has `*` for every path
/// segment. Returns false for 405, because that resource exists.
fn is_unknown_target(status: u16) -> bool {
    matches!(status, 404 | 501)
}

/// Computes the shape of a target, and passes it to `write` in pieces, so that no string is built.
fn write_shape<'a>(target: &'a str, status: u16, mut write: impl FnMut(&'a str)) {
    let (mut path, query) = split_before(target, b'?');
    if !path.starts_with('/') {
        // `*` with OPTIONS, or an authority with CONNECT.
        return write("*");
    }
    let is_unknown = is_unknown_target(status);
    for _ in 0..SEGMENTS_MAX {
        let (segment, others) = split_before(path.get(1..).unwrap_or_default(), b'/');
        // The segment with its slash, because each piece costs a few nanoseconds.
        let piece = path.get(..segment.len().saturating_add(1)).unwrap_or_default();
        write(if is_word(segment) && !is_unknown { piece } else { "/*" });
        path = others;
        if path.is_empty() {
            break;
        }
    }
    if !path.is_empty() {
        write("/...");
    }
    if !query.is_empty() && !is_unknown {
        write_names(query, write);
    }
}

/// Passes the names of the query parameters to `write`, sorted and without duplicates. Sorts them
/// because clients often build a query from a hash map, in which the order is random.
fn write_names<'a>(mut query: &'a str, mut write: impl FnMut(&'a str)) {
    let mut names = ["*"; PARAMETERS_MAX + 1];
    let mut count = 0_usize;
    for _ in 0..PARAMETERS_MAX {
        // The first byte is the `?` or `&` before the parameter.
        let (parameter, others) = split_before(query.get(1..).unwrap_or_default(), b'&');
        let (name, _) = split_before(parameter, b'=');
        // Empty parameters, as in `a&&b`, have no name.
        if !parameter.is_empty()
            && let Some(place) = names.get_mut(count)
        {
            *place = if is_word(name) && !name.is_empty() { name } else { "*" };
            count += 1;
        }
        query = others;
        if query.is_empty() {
            break;
        }
    }
    // The places behind the names have a `*`, which stands for the other parameters.
    count += usize::from(!query.is_empty());
    let names = names.get_mut(..count).unwrap_or_default();
    names.sort_unstable();
    let mut separator = "?";
    let mut previous = "";
    for name in names.iter() {
        if *name != previous {
            write(separator);
            write(name);
            (separator, previous) = ("=&", name);
        }
    }
    if !names.is_empty() {
        write("=");
    }
}

/// Splits a text before the first occurrence of the byte `end`. If the text does not contain this
/// byte, the second part is empty.
fn split_before(text: &str, end: u8) -> (&str, &str) {
    let place = memchr(end, text.as_bytes()).unwrap_or(text.len());
    text.split_at_checked(place).unwrap_or((text, ""))
}

/// Returns whether a path segment or a parameter name stays in a shape: it is a plain word, an API
/// version, or empty.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.len() <= WORD_MAX && text.bytes().all(is_plain) || is_version(text)
}

/// Returns whether a text is an API version, such as `v2`.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|digits| {
        (1..=VERSION_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::{Class, fingerprint};
    use crate::rollout::xorshift::Xorshift;
    use std::collections::HashMap;

    #[test]
    fn a_class_has_the_method_the_shape_and_the_status() {
        let letters = "abcdefghijklmnopqrstuvwxyzabcdef";
        let word = &format!("/{letters}");
        let (long_word, long_name) = (&format!("/{letters}g"), &format!("/?{letters}g=1"));
        for (method, target, status, expected) in [
            ("GET", "/", 200, "GET / 200"),
            ("GET", "/items/42?page=3", 200, "GET /items/*?page= 200"),
            ("GET", "/items/", 200, "GET /items/ 200"),
            ("GET", "//items", 200, "GET //items 200"),
            ("GET", "/robots.txt", 200, "GET /robots.txt 200"),
            ("GET", "/.well-known/~me/A_b", 200, "GET /.well-known/~me/A_b 200"),
            ("GET", "/api/v1/v999/v1000/v/v1a/V1", 200, "GET /api/v1/v999/*/v/*/* 200"),
            ("GET", "/3f2a9c/a%20b/a+b/a:b/*", 200, "GET /*/*/*/*/* 200"),
            ("GET", "/caf\u{e9}", 200, "GET /* 200"),
            ("GET", word, 200, &format!("GET {word} 200")),
            ("GET", long_word, 200, "GET /* 200"),
            ("GET", long_name, 200, "GET /?*= 200"),
            ("GET", "/a/b/c/d/e/f/g/h", 200, "GET /a/b/c/d/e/f/g/h 200"),
            ("GET", "/a/b/c/d/e/f/g/h/i/j", 200, "GET /a/b/c/d/e/f/g/h/... 200"),
            ("GET", "/a/b/c/d/e/f/g/h/", 200, "GET /a/b/c/d/e/f/g/h/... 200"),
            ("GET", "/a?", 200, "GET /a 200"),
            ("GET", "/a?b", 200, "GET /a?b= 200"),
            ("GET", "/a?z=1&b=2&m", 200, "GET /a?b=&m=&z= 200"),
            ("GET", "/a?b=1&b=2&&b=/3?c=4", 200, "GET /a?b= 200"),
            ("GET", "/a?b[]=1&c1=2&=3&v2=4", 200, "GET /a?*=&v2= 200"),
            ("GET", "/a?h&g&f&e&d&c&b&a", 200, "GET /a?a=&b=&c=&d=&e=&f=&g=&h= 200"),
            ("GET", "/a?h&g&f&e&d&c&b&a&i&j", 200, "GET /a?*=&a=&b=&c=&d=&e=&f=&g=&h= 200"),
            ("GET", "/wp/admin.php?a=1", 404, "GET /*/* 404"),
            ("GET", "/", 404, "GET /* 404"),
            ("GET", "/a/b/c/d/e/f/g/h/i", 404, "GET /*/*/*/*/*/*/*/*/... 404"),
            ("GET", "/a//b/", 404, "GET /*/*/*/* 404"),
            ("POST", "/items", 405, "POST /items 405"),
            ("BREW", "/items", 405, "* /items 405"),
            ("BREW", "/pot/tea", 501, "* /*/* 501"),
            ("BREW", "/pot", 200, "BREW /pot 200"),
            ("ABCDEFGHIJKLMNOPQ", "/", 200, "ABCDEFGHIJKLMNOP / 200"),
            ("OPTIONS", "*", 204, "OPTIONS * 204"),
            ("CONNECT", "a:443", 200, "CONNECT * 200"),
            ("", "", 200, " * 200"),
        ] {
            assert_eq!(
                Class::new(method, target, status).to_string(),
                expected,
                "{method} {target} {status}"
            );
        }
    }

    #[test]
    fn fingerprints_are_equal_exactly_if_classes_are() {
        const METHODS: [&str; 6] = ["GET", "POST", "BREW", "BREW2", "ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOPQ"];
        const PIECES: [&str; 16] = [
            "/", "/", "/", "?", "&", "=", "a", "b", "ab", "7", "v1", "*", "...", "%20", "\u{e9}", "/a/b/c/d",
        ];
        let mut random = Xorshift::new(1);
        let (mut by_fingerprint, mut by_class) = (HashMap::new(), HashMap::new());
        for _ in 0..100_000 {
            let method = random.pick(&METHODS);
            let mut target = String::from("/");
            for _ in 0..random.below(10) {
                target.push_str(random.pick(&PIECES));
            }
            let status = random.pick(&[200, 201, 404, 405]);
            let (class, print) = (Class::new(method, &target, status), fingerprint(method, &target, status));
            let known = by_fingerprint.entry(print).or_insert_with(|| class.clone());
            assert_eq!(*known, class, "{method} {target} {status}");
            assert_eq!(*by_class.entry(class).or_insert(print), print, "{method} {target} {status}");
        }
        assert!(by_class.len() > 1_000, "{}", by_class.len());
    }
}
