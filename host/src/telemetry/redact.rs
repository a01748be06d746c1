//! Hides sensitive data: user information and query values in the URLs of the log, and the values
//! of secret header fields in request files.

use std::borrow::Cow;

use crate::config::log_lines::LogQuery;

/// Names of header fields whose values are secret, in lower case.
pub const SECRET_FIELDS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// Text in place of a masked value.
const MASK: &str = "*";

/// Returns a request target without user information, and with its query kept, masked or dropped as
/// `query` says.
pub fn target(text: &str, query: LogQuery) -> Cow<'_, str> {
    // Nearly every target. What looks like user information in a path is a part of the path.
    if text.starts_with('/') { shown(Cow::Borrowed(text), query) } else { referer(text, query) }
}

/// Returns the value of a `referer` without user information, and with its query kept, masked or
/// dropped as `query` says.
pub fn referer(text: &str, query: LogQuery) -> Cow<'_, str> {
    let (start, ends) = match text.split_once("//") {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => (scheme.len() + 2, ['/', '?', '#']),
        _ if text.starts_with('/') => return shown(Cow::Borrowed(text), query),
        // An authority alone, as the target of CONNECT, or no URL: all before an `@` may be user
        // information.
        _ => (0, ['?', '#', '#']),
    };
    let (before, rest) = text.split_at(start);
    let (authority, path) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => shown(Cow::Owned(format!("{before}{host}{path}")), query),
        None => shown(Cow::Borrowed(text), query),
    }
}

fn shown(text: Cow<'_, str>, query: LogQuery) -> Cow<'_, str> {
    if query == LogQuery::Keep {
        return text;
    }
    // The fragment of a URL may have values, too.
    let Some(end) = text.find(['?', '#']) else { return text };
    let (path, rest) = text.split_at(end);
    let parameters = rest.split('#').next().unwrap_or_default().strip_prefix('?');
    match parameters {
        Some(parameters) if query == LogQuery::Mask => {
            let parameters: Vec<_> = parameters.split('&').map(masked).collect();
            format!("{path}?{}", parameters.join("&")).into()
        }
        _ => path.to_owned().into(),
    }
}

/// Masks the value of a query parameter. Masks a parameter without `=` as a whole, because it may
/// itself be a value.
fn masked(parameter: &str) -> Cow<'_, str> {
    match parameter.split_once('=') {
        _ if parameter.is_empty() => Cow::Borrowed(""),
        Some((name, _)) => Cow::Owned(format!("{name}={MASK}")),
        None => Cow::Borrowed(MASK),
    }
}

#[cfg(test)]
mod tests {
    use super::{LogQuery, referer, target};

    #[test]
    fn a_query_is_kept_masked_or_dropped() {
        for (text, masked, dropped) in [
            ("/", "/", "/"),
            ("*", "*", "*"),
            ("-", "-", "-"),
            ("/a?", "/a?", "/a"),
            ("/a?b=c", "/a?b=*", "/a"),
            ("/a?b=c&d=e=f&g=", "/a?b=*&d=*&g=*", "/a"),
            ("/a?token", "/a?*", "/a"),
            ("/a?b%3Dc&&d", "/a?*&&*", "/a"),
            ("/a?b=c?d=e;f=g", "/a?b=*", "/a"),
            ("/a?b=c#d?e=f", "/a?b=*", "/a"),
            ("/a#b?c=d", "/a", "/a"),
            ("/user@host/?a=b@c", "/user@host/?a=*", "/user@host/"),
            ("//user@host/", "//user@host/", "//user@host/"),
            ("http://a/b?c=d", "http://a/b?c=*", "http://a/b"),
            ("http://a?c=d@e", "http://a?c=*", "http://a"),
            ("a:443", "a:443", "a:443"),
        ] {
            assert_eq!(target(text, LogQuery::Keep), text);
            assert_eq!(target(text, LogQuery::Mask), masked);
            assert_eq!(target(text, LogQuery::Drop), dropped);
        }
    }

    #[test]
    fn user_information_goes_whatever_is_kept() {
        for (text, kept) in [
            ("http://user:password@a/b?c=d@e", "http://a/b?c=d@e"),
            ("http://user@a", "http://a"),
            ("http://u@v@a/", "http://a/"),
            ("http://a/b@c", "http://a/b@c"),
            ("http://a?b@c", "http://a?b@c"),
            ("http://a#b@c", "http://a#b@c"),
            ("user:password@a:443", "a:443"),
            ("http:/user:password@a/b", "a/b"),
            ("user/password@a?b@c", "a?b@c"),
        ] {
            assert_eq!(target(text, LogQuery::Keep), kept);
            assert_eq!(referer(text, LogQuery::Keep), kept);
        }
        assert_eq!(referer("//user@a/b", LogQuery::Keep), "//a/b");
        assert_eq!(referer("/b@c", LogQuery::Keep), "/b@c");
        assert_eq!(referer("", LogQuery::Mask), "");
    }

    /// Tries random texts made of the characters that are special in URLs, with a fixed seed.
    #[test]
    fn no_value_is_left_in_any_text() {
        let mut state = 0x5eed_u64;
        let mut below = move |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        for _ in 0..100_000 {
            let mut text = String::new();
            for _ in 0..below(20) {
                text.push(['/', '?', '#', '&', '=', '@', ':', 'a', 'ü', '%'][below(10) as usize]);
            }
            for shown in [target(&text, LogQuery::Mask), referer(&text, LogQuery::Mask)] {
                let query = shown.split_once('?').map_or("", |(_, query)| query);
                let is_masked = |part: &str| {
                    part.is_empty()
                        || part == "*"
                        || part.split_once('=').is_some_and(|(_, value)| value == "*")
                };
                assert!(query.split('&').all(is_masked) && !shown.contains('#'), "{text}: {shown}");
            }
            for query in [LogQuery::Keep, LogQuery::Mask, LogQuery::Drop] {
                let once = target(&text, query).into_owned();
                assert!(query != LogQuery::Drop || !once.contains(['?', '#']), "{text}: {once}");
                assert_eq!(target(&once, query).len(), once.len(), "{text}");
            }
        }
    }
}
