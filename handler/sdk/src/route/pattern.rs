//! Path patterns of routes: literal segments, `{name}` and `{*name}`.

use super::hash::Hasher;
use super::refusal::Refusal;
use crate::bytes::split_once;

const SLASH: u8 = b'/';

/// Kinds of the segments of a pattern: two bits for each segment, the first segment in the highest
/// bits. Of several patterns that match a path, the one with the smallest shape takes precedence.
/// Patterns with equal shapes never match the same path, because they differ in a literal segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape(u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Literal = 1,
    Parameter = 2,
    Rest = 3,
}

impl Shape {
    /// Shape of every pattern without parameters, whatever its length.
    pub(super) const LITERAL: Shape = Shape(0);
    /// Shape that no pattern has, and that is greater than the shape of every pattern.
    pub(super) const LEAST: Shape = Shape(u64::MAX);
    /// Maximum number of segments of a pattern with parameters.
    pub(super) const SEGMENTS_MAX: usize = 32;

    const fn with(self, place: usize, kind: Kind) -> Shape {
        if place < Shape::SEGMENTS_MAX { Shape(self.0 | (kind as u64) << (62 - 2 * place)) } else { self }
    }

    pub(super) const fn is_literal(self) -> bool {
        self.0 == Shape::LITERAL.0
    }

    /// Returns a number that is unique to the shape.
    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// Returns whether the segment at this index is literal. Must not be called for
    /// [`Shape::LITERAL`], which does not record its segments.
    pub(super) const fn has_literal_at(self, place: usize) -> bool {
        place < Shape::SEGMENTS_MAX && self.0 >> (62 - 2 * place) & 3 == Kind::Literal as u64
    }

    /// Returns the number of segments. Must not be called for [`Shape::LITERAL`].
    const fn segments(self) -> usize {
        Shape::SEGMENTS_MAX - self.0.trailing_zeros() as usize / 2
    }

    /// Returns whether a path of this many segments can match the shape.
    pub(super) const fn can_have(self, segments: usize) -> bool {
        let own = self.segments();
        let last = own.saturating_sub(1);
        let ends_in_rest = self.0 >> (62 - 2 * last) & 3 == Kind::Rest as u64;
        segments == own || (segments > own && ends_in_rest)
    }
}

/// Parsed path pattern.
pub(super) struct Pattern {
    pub(super) shape: Shape,
    /// Hash of the shape and the literal segments, which [`Hashes`](super::hash::Hashes) also
    /// computes from the path of a request.
    pub(super) hash: u64,
}

impl Pattern {
    /// Parses a path pattern.
    ///
    /// Consists of one loop and almost no calls, because it runs mostly at compile time, over every
    /// byte of a table, where calls are slow.
    ///
    /// # Panics
    ///
    /// When the pattern is malformed.
    #[allow(clippy::indexing_slicing, reason = "compared with the length before")]
    pub(super) const fn of(pattern: &str) -> Pattern {
        let path = pattern.as_bytes();
        if path.is_empty() || path[0] != SLASH {
            refuse(pattern, "a route's path begins with a slash");
        }
        let (mut shape, mut hash, mut is_literal) = (0, 0, true);
        let (mut at, mut place) = (0, 0);
        while at < path.len() {
            let start = at + 1;
            let mut kind = Kind::Literal;
            let mut name = start;
            if name < path.len() && path[name] == b'{' {
                kind = Kind::Parameter;
                name += 1;
                if name < path.len() && path[name] == b'*' {
                    kind = Kind::Rest;
                    name += 1;
                }
            }
            let mut hasher = Hasher::NEW;
            at = name;
            while at < path.len() && PLAIN[path[at] as usize] {
                if let Kind::Literal = kind {
                    hasher.add(path[at]);
                }
                at += 1;
            }
            if let Kind::Literal = kind {
                hash = Hasher::mix(hash, hasher.finish());
            } else {
                if at == name || at >= path.len() || path[at] != b'}' {
                    refuse(pattern, NO_PARAMETER);
                }
                at += 1;
                is_literal = false;
            }
            if at != path.len() && path[at] != SLASH {
                refuse(pattern, NO_SEGMENT);
            }
            if at != path.len() && kind as u8 == Kind::Rest as u8 {
                refuse(pattern, NOT_LAST);
            }
            if place < Shape::SEGMENTS_MAX {
                shape |= (kind as u64) << (62 - 2 * place);
            }
            place += 1;
        }
        if !is_literal && place > Shape::SEGMENTS_MAX {
            refuse(pattern, "a path with parameters has at most 32 segments");
        }
        let shape = if is_literal { Shape::LITERAL } else { Shape(shape) };
        Pattern { shape, hash: Hasher::mix(hash, shape.0) }
    }
}

const fn refuse(pattern: &str, why: &str) -> ! {
    Refusal::new("the route `").and(pattern).and("` cannot be matched: ").and(why).fail()
}

const NO_PARAMETER: &str = "a parameter of a route's path is `{name}` or `{*name}`, a whole segment";
const NO_SEGMENT: &str = "a route's path is ASCII without spaces, `?`, `#`, and braces inside of segments; percent-encode what else there is";
const NOT_LAST: &str = "nothing follows `{*name}` in a route's path";

/// Bytes that are allowed in a segment of a pattern, apart from the braces of a parameter.
#[allow(clippy::indexing_slicing, reason = "the table has a place for every byte")]
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let special = matches!(byte as u8, b'{' | b'}' | b'?' | b'#' | SLASH);
        plain[byte] = (byte as u8).is_ascii_graphic() && !special;
        byte += 1;
    }
    plain
};

/// Returns whether two patterns match the same paths: they are equal except for the
/// names of parameters.
#[allow(clippy::indexing_slicing, reason = "compared with the length before")]
pub(super) const fn are_alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let (mut at, mut other_at) = (0, 0);
    while at < one.len() && other_at < other.len() {
        if one[at] != other[other_at] {
            return false;
        }
        if one[at] == b'{' {
            // Both segments are parameters. They differ in kind if only one has a `*`.
            if (one[at + 1] == b'*') != (other[other_at + 1] == b'*') {
                return false;
            }
            while one[at] != b'}' {
                at += 1;
            }
            while other[other_at] != b'}' {
                other_at += 1;
            }
        }
        at += 1;
        other_at += 1;
    }
    at == one.len() && other_at == other.len()
}

/// Splits a path into its first segment and the rest after the slash, which is `None` if there is
/// no slash.
pub(super) fn first_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    split_once(path, SLASH).map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

/// Returns the kind of a segment, which must come from a valid pattern.
const fn kind(segment: &[u8]) -> Kind {
    match segment {
        [b'{', b'*', ..] => Kind::Rest,
        [b'{', ..] => Kind::Parameter,
        _ => Kind::Literal,
    }
}

/// Returns the shape of a pattern if the path of a request matches the pattern.
pub(super) fn fit(pattern: &[u8], path: &[u8]) -> Option<Shape> {
    let mut is_literal = true;
    let mut shape = Shape::LITERAL;
    for (place, pair) in Side::by_side(pattern, path)?.enumerate() {
        let (wanted, found) = pair?;
        let kind = kind(wanted);
        let fits = if kind == Kind::Literal { wanted == found } else { !found.is_empty() };
        if !fits {
            return None;
        }
        is_literal &= kind == Kind::Literal;
        shape = shape.with(place, kind);
    }
    Some(if is_literal { Shape::LITERAL } else { shape })
}

/// Returns the value of a parameter in a path that matches the pattern. Only one of the two may end
/// in a slash, because of [`TrailingSlash`](super::TrailingSlash).
pub(super) fn param<'a>(pattern: &[u8], path: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let found = param_of_same(pattern, path, name);
    found.or_else(|| match (pattern.strip_suffix(b"/"), path.strip_suffix(b"/")) {
        (Some(pattern), None) => param_of_same(pattern, path, name),
        (None, Some(path)) => param_of_same(pattern, path, name),
        _ => None,
    })
}

fn param_of_same<'a>(pattern: &[u8], path: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    Side::by_side(pattern, path)?.map_while(|pair| pair).find_map(|(wanted, found)| {
        let wanted = wanted.strip_prefix(b"{")?.strip_suffix(b"}")?;
        (wanted.strip_prefix(b"*").unwrap_or(wanted) == name).then_some(found)
    })
}

/// Iterator over the segments of a pattern, each with the corresponding part of a path.
struct Side<'p, 'a> {
    /// Rest of the pattern and rest of the path; `None` at the end.
    rest: Option<(&'p [u8], &'a [u8])>,
}

impl<'p, 'a> Side<'p, 'a> {
    fn by_side(pattern: &'p [u8], path: &'a [u8]) -> Option<Self> {
        Some(Side { rest: Some((pattern.strip_prefix(b"/")?, path.strip_prefix(b"/")?)) })
    }
}

impl<'p, 'a> Iterator for Side<'p, 'a> {
    /// A segment of the pattern and the corresponding part of the path. `None` if one of the two
    /// ends before the other.
    type Item = Option<(&'p [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let (pattern, path) = self.rest.take()?;
        let (wanted, pattern) = first_segment(pattern);
        if kind(wanted) == Kind::Rest {
            return Some(Some((wanted, path)));
        }
        let (found, path) = first_segment(path);
        match (pattern, path) {
            (Some(pattern), Some(path)) => self.rest = Some((pattern, path)),
            (None, None) => {}
            _ => return Some(None),
        }
        Some(Some((wanted, found)))
    }
}
