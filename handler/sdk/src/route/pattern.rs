//! The path of a route: literal segments, `{name}` and `{*name}`.

const SLASH: u8 = b'/';

/// Which kind each segment of a route's path has: two bits for each, the first
/// segment highest. So of two paths that fit the same request, the smaller shape
/// is the one that is preferred; and paths of the same shape differ in their
/// literal segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape(u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Literal = 1,
    Parameter = 2,
    Rest = 3,
}

impl Shape {
    /// That of every path without parameters, whatever its length.
    pub(super) const LITERAL: Shape = Shape(0);
    /// One that no path has, and that comes after all of them.
    pub(super) const LEAST: Shape = Shape(u64::MAX);
    /// The most segments of a path with parameters.
    pub(super) const SEGMENTS_MAX: usize = 32;

    /// The shape of a route's path.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub(super) const fn of(path: &str) -> Shape {
        let Some((&SLASH, mut rest)) = path.as_bytes().split_first() else {
            panic!("a route's path begins with a slash");
        };
        let mut shape = Shape::LITERAL;
        let mut place = 0;
        let mut is_literal = true;
        loop {
            let (segment, after) = first_segment(rest);
            let kind = checked_kind(segment);
            is_literal = is_literal && matches!(kind, Kind::Literal);
            shape = shape.with(place, kind);
            place += 1;
            match after {
                Some(after) => rest = after,
                None => break,
            }
            assert!(!matches!(kind, Kind::Rest), "nothing follows `{{*name}}` in a route's path");
        }
        if is_literal {
            return Shape::LITERAL;
        }
        assert!(place <= Shape::SEGMENTS_MAX, "a route's path with parameters has at most 32 segments");
        shape
    }

    const fn with(self, place: usize, kind: Kind) -> Shape {
        if place < Shape::SEGMENTS_MAX { Shape(self.0 | (kind as u64) << (62 - 2 * place)) } else { self }
    }

    pub(super) const fn is_literal(self) -> bool {
        self.0 == Shape::LITERAL.0
    }

    /// As a number that is different for every shape.
    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// Whether there is a literal segment at this place. Not for
    /// [`Shape::LITERAL`], which does not tell its segments.
    pub(super) const fn has_literal_at(self, place: usize) -> bool {
        place < Shape::SEGMENTS_MAX && self.0 >> (62 - 2 * place) & 3 == Kind::Literal as u64
    }

    /// How many segments there are. Not for [`Shape::LITERAL`] either.
    const fn segments(self) -> usize {
        Shape::SEGMENTS_MAX - self.0.trailing_zeros() as usize / 2
    }

    /// Whether a path of so many segments can have this shape.
    pub(super) const fn can_have(self, segments: usize) -> bool {
        let own = self.segments();
        let last = own.saturating_sub(1);
        let ends_in_rest = self.0 >> (62 - 2 * last) & 3 == Kind::Rest as u64;
        segments == own || (segments > own && ends_in_rest)
    }
}

/// What is before the first slash, and what is after it where there is one.
pub(super) const fn first_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        if *byte == SLASH {
            return (path.split_at(path.len() - rest.len()).0, Some(after));
        }
        rest = after;
    }
    (path, None)
}

/// The kind of a segment that has been checked.
const fn kind(segment: &[u8]) -> Kind {
    match segment {
        [b'{', b'*', ..] => Kind::Rest,
        [b'{', ..] => Kind::Parameter,
        _ => Kind::Literal,
    }
}

/// The kind of a segment, which is checked.
const fn checked_kind(segment: &[u8]) -> Kind {
    let name = match segment {
        [b'{', b'*', name @ .., b'}'] | [b'{', name @ .., b'}'] => {
            assert!(!name.is_empty(), "a parameter in a route's path has a name");
            name
        }
        _ => segment,
    };
    let mut rest = name;
    while let [byte, after @ ..] = rest {
        assert!(
            !matches!(*byte, b'{' | b'}' | b'*') || (*byte == b'*' && name.len() == segment.len()),
            "a parameter is a whole segment of a route's path: `{{name}}` or `{{*name}}`"
        );
        assert!(
            byte.is_ascii_graphic() && !matches!(*byte, b'?' | b'#'),
            "a route's path is ASCII without spaces, `?` and `#`; percent-encode what is not"
        );
        rest = after;
    }
    kind(segment)
}

/// Whether two routes' paths fit the same requests: whether they are the same but
/// for the names of parameters.
pub(super) const fn are_alike(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let ((segment, after), (other_segment, other_after)) = (first_segment(one), first_segment(other));
        let alike = match (kind(segment), kind(other_segment)) {
            (Kind::Literal, Kind::Literal) => are_equal(segment, other_segment),
            (kind, other_kind) => kind as u8 == other_kind as u8,
        };
        match (alike, after, other_after) {
            (true, Some(after), Some(other_after)) => (one, other) = (after, other_after),
            (alike, None, None) => return alike,
            _ => return false,
        }
    }
}

const fn are_equal(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    while let ([byte, after @ ..], [other_byte, other_after @ ..]) = (one, other) {
        if *byte != *other_byte {
            return false;
        }
        (one, other) = (after, other_after);
    }
    true
}

/// The shape of a route's path, when the path of a request fits it.
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

/// What a path has where a route's path that it fits has this parameter.
pub(super) fn param<'a>(pattern: &[u8], path: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    Side::by_side(pattern, path)?.map_while(|pair| pair).find_map(|(wanted, found)| {
        let wanted = wanted.strip_prefix(b"{")?.strip_suffix(b"}")?;
        (wanted.strip_prefix(b"*").unwrap_or(wanted) == name).then_some(found)
    })
}

/// The segments of a route's path, each with what a path has in its place.
struct Side<'p, 'a> {
    /// What is left of both, as long as there is something.
    rest: Option<(&'p [u8], &'a [u8])>,
}

impl<'p, 'a> Side<'p, 'a> {
    fn by_side(pattern: &'p [u8], path: &'a [u8]) -> Option<Self> {
        Some(Side { rest: Some((pattern.strip_prefix(b"/")?, path.strip_prefix(b"/")?)) })
    }
}

impl<'p, 'a> Iterator for Side<'p, 'a> {
    /// `None` where the one ends before the other.
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
