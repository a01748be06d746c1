//! Differences that the operator accepts in advance, given as patterns of the requests that show
//! them.

use std::fmt;
use std::str::FromStr;

use host_http::quote::quoted;
use http::Method;

use crate::rollout::compare::verdict::Verdict;

/// Maximum number of bytes that an error message quotes from a pattern.
const SHOWN_MAX: usize = 200;

/// Pattern of requests: `/items/*` for any method, or `GET /about*`. A `*` matches any
/// characters, including `/` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    method: Option<Method>,
    target: String,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let wrong = |expected: &str| format!("expected {expected}, found `{}`", quoted(text, SHOWN_MAX));
        let (method, target) = match text.split_once(' ') {
            Some((method, target)) => (Some(method), target),
            None => (None, text),
        };
        if !target.starts_with(['/', '*']) || target.contains(|character: char| !character.is_ascii_graphic())
        {
            return Err(wrong("a pattern of requests such as /items/* or GET /about*"));
        }
        let method = match method {
            // A method in other letters would match no request.
            Some(method) if method.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                Err(wrong("a method in capitals such as GET"))
            }
            Some(method) => Method::from_str(method).map(Some).map_err(|_| wrong("a method such as GET")),
            None => Ok(None),
        }?;
        Ok(Pattern { method, target: target.to_owned() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} {}", self.target),
            None => f.write_str(&self.target),
        }
    }
}

impl Pattern {
    /// Returns whether the pattern matches a request.
    pub fn matches(&self, method: &str, target: &str) -> bool {
        self.method.as_ref().is_none_or(|expected| expected.as_str() == method)
            && matches(&self.target, target)
    }
}

/// Returns whether a text matches a pattern. Takes each piece between two `*` at its first
/// occurrence, which leaves the most text for the next pieces, so that no backtracking is needed.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inside = text.strip_prefix(start).and_then(|text| text.strip_suffix(end));
    let Some(mut left) = inside else { return false };
    for piece in middle.split('*') {
        let Some((_, behind)) = left.split_once(piece) else { return false };
        left = behind;
    }
    true
}

/// Differences that the operator accepts when a candidate is compared with the current version.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    patterns: Vec<Pattern>,
    accepts_all: bool,
}

impl Accept {
    /// Creates the accepted differences: those of requests that match one of the patterns. With
    /// `accepts_all`, accepts every difference, and also requests that fail only with the
    /// candidate.
    ///
    /// # Errors
    ///
    /// One line about the first malformed pattern.
    pub fn new<T: AsRef<str>>(patterns: &[T], accepts_all: bool) -> Result<Accept, String> {
        let patterns = patterns.iter().map(|pattern| pattern.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Accept { patterns, accepts_all })
    }

    /// Returns the patterns of the requests whose differences are accepted.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Returns whether every difference is accepted.
    pub fn accepts_all(&self) -> bool {
        self.accepts_all
    }

    /// Returns whether a verdict other than [`Verdict::Same`] is accepted, and the index of the
    /// first pattern that matches the request. Patterns do not apply to a request that fails only
    /// with the candidate.
    pub(super) fn accepts(&self, verdict: &Verdict, method: &str, target: &str) -> (bool, Option<usize>) {
        if matches!(verdict, Verdict::NewlyFaulting { .. }) {
            return (self.accepts_all, None);
        }
        let pattern = self.patterns.iter().position(|pattern| pattern.matches(method, target));
        (self.accepts_all || pattern.is_some(), pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, matches};

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, text, expected) in [
            ("/about", "/about", true),
            ("/about", "/about/", false),
            ("/about*", "/about?x=1", true),
            ("/about*", "/abou", false),
            ("/items/*", "/items/3/parts", true),
            ("/items/*", "/items", false),
            ("*", "", true),
            ("*", "/x", true),
            ("*/parts", "/items/3/parts", true),
            ("/a*b*c", "/a1b2b3c", true),
            ("/a*b*c", "/a1c", false),
            // Both ends need their own characters.
            ("/ab*ba", "/aba", false),
            ("/ab*ba", "/abba", true),
            ("/a**b", "/ab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&format!("/{}b", "*a".repeat(5000)), &format!("/{}", "a".repeat(100_000))));
    }

    #[test]
    fn patterns_are_parsed_and_written() {
        for text in ["/items/*", "GET /about*", "OPTIONS *", "*"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        let pattern: Pattern = "GET /about*".parse().unwrap();
        assert!(pattern.matches("GET", "/about") && !pattern.matches("POST", "/about"));
        for (text, error) in [
            ("", "expected a pattern of requests such as /items/* or GET /about*, found ``"),
            ("about", "expected a pattern of requests such as /items/* or GET /about*, found `about`"),
            ("GET", "expected a pattern of requests such as /items/* or GET /about*, found `GET`"),
            ("GET /a b", "expected a pattern of requests such as /items/* or GET /about*, found `GET /a b`"),
            ("get /a", "expected a method in capitals such as GET, found `get /a`"),
            ("G@T /a", "expected a method such as GET, found `G@T /a`"),
            ("/a\x1b", "expected a pattern of requests such as /items/* or GET /about*, found `/a\\u{1b}`"),
        ] {
            assert_eq!(text.parse::<Pattern>().unwrap_err(), error);
        }
    }
}
