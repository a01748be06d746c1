//! Index of a large route table. A search does one lookup for each shape of the patterns in the
//! table ("tuple space search"). There are few shapes, even if there are many routes.
//!
//! The key of a route is a hash of its shape and its literal segments. A search first hashes each
//! segment of the request's path. Then, for each shape in order of precedence, the search combines
//! the hashes of the segments that are literal in the shape. There are as many buckets as routes,
//! and each bucket begins a chain of routes. The index consists of plain arrays, so that the
//! compiler can build it.

use super::hash::{Hasher, Hashes};
use super::pattern::{Pattern, Shape, are_alike, fit};
use super::refusal::Refusal;
use super::router::{Found, Router};
use super::{Methods, Route};

/// Maximum number of different shapes of the patterns in one [`Index`]. The shape of a pattern says
/// which of its segments are literal, `{name}` or `{*name}`. All patterns without parameters have
/// the same shape.
pub const SHAPES_MAX: usize = 128;

/// Marks the end of a bucket's chain. No route has this number, because a table has fewer routes.
const END: u16 = u16::MAX;

/// Route table with an index; see [`Router::indexed`].
///
/// The compiler takes some seconds for an index of 10,000 routes, and needs
/// `#[allow(long_running_const_eval)]` on the `const`. In the module, each route takes up 20 bytes
/// plus the length of its path.
#[derive(Clone, Copy, Debug)]
pub struct Index<const N: usize> {
    routes: [Route; N],
    heads: [u16; N],
    nexts: [u16; N],
    shapes: [Shape; SHAPES_MAX],
    shapes_used: usize,
}

impl<const N: usize> Index<N> {
    /// Creates an index of these routes.
    ///
    /// # Panics
    ///
    /// When a path is malformed, two routes match the same requests, or there are more than 65,534
    /// routes or more than [`SHAPES_MAX`] shapes; in a `const`, a compile error.
    pub const fn new(routes: [Route; N]) -> Index<N> {
        let (mut heads, mut nexts) = ([END; N], [END; N]);
        let mut shapes = [Shape::LITERAL; SHAPES_MAX];
        let shapes_used = link(&routes, &mut heads, &mut nexts, &mut shapes);
        Index { routes, heads, nexts, shapes, shapes_used }
    }

    pub(super) const fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub(super) const fn links(&'static self) -> Links {
        let (shapes, _) = self.shapes.split_at(self.shapes_used);
        Links { heads: &self.heads, nexts: &self.nexts, shapes }
    }
}

/// The arrays of an [`Index`], as slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// For each bucket, the number of its first route, or [`END`] if the bucket is empty.
    heads: &'static [u16],
    /// For each route, the number of the next route in the same bucket, or [`END`] after the last
    /// one.
    nexts: &'static [u16],
    /// Shapes of the patterns in the table, in order of precedence.
    shapes: &'static [Shape],
}

impl Links {
    pub(super) const NONE: Links = Links { heads: &[], nexts: &[], shapes: &[] };

    #[cfg(feature = "alloc")]
    pub(super) fn leaked(routes: &[Route]) -> Links {
        let mut shapes = [Shape::LITERAL; SHAPES_MAX];
        let (mut heads, mut nexts) = (alloc::vec![END; routes.len()], alloc::vec![END; routes.len()]);
        let used = link(routes, &mut heads, &mut nexts, &mut shapes);
        let shapes = shapes.into_iter().take(used).collect::<alloc::vec::Vec<_>>();
        Links { heads: heads.leak(), nexts: nexts.leak(), shapes: shapes.leak() }
    }
}

/// Fills the arrays of an index, and returns the number of different shapes.
#[allow(clippy::indexing_slicing, reason = "a compiler's loop; the arrays are as long as the table")]
const fn link(
    routes: &[Route],
    heads: &mut [u16],
    nexts: &mut [u16],
    shapes: &mut [Shape; SHAPES_MAX],
) -> usize {
    assert!(routes.len() < END as usize, "a table has at most 65,534 routes");
    let mut used = 0;
    let mut number = 0;
    while number < routes.len() {
        let route = &routes[number];
        let pattern = Pattern::of(route.path);
        used = note_shape(pattern.shape, shapes, used);
        let bucket = bucket(pattern.hash, routes.len());
        let mut other = heads[bucket];
        while other != END {
            assert_distinct(route, &routes[other as usize]);
            other = nexts[other as usize];
        }
        nexts[number] = heads[bucket];
        heads[bucket] = number as u16;
        number += 1;
    }
    used
}

/// Inserts a shape into `shapes`, whose first `used` elements are in use and sorted, unless the
/// shape is among them. Returns the new number of elements in use.
#[allow(clippy::indexing_slicing, reason = "a place is looked at only after it was compared with the end")]
const fn note_shape(shape: Shape, shapes: &mut [Shape; SHAPES_MAX], used: usize) -> usize {
    let mut place = 0;
    while place < used && shapes[place].number() < shape.number() {
        place += 1;
    }
    if place < used && shapes[place].number() == shape.number() {
        return used;
    }
    assert!(used < SHAPES_MAX, "the paths of a table have at most 128 shapes");
    let mut last = used;
    while last > place {
        shapes[last] = shapes[last - 1];
        last -= 1;
    }
    shapes[place] = shape;
    used + 1
}

/// Panics if two routes have the same method and match the same paths.
pub(super) const fn assert_distinct(route: &Route, other: &Route) {
    let same_method = route.method as u8 == other.method as u8;
    if same_method && are_alike(route.path, other.path) {
        let method = route.method.name();
        Refusal::new("two routes match the same requests: `")
            .and(method)
            .and(" ")
            .and(route.path)
            .and("` and `")
            .and(method)
            .and(" ")
            .and(other.path)
            .and("`; remove one, or change its path")
            .fail();
    }
}

/// Returns the number of the bucket for a hash.
const fn bucket(hash: u64, buckets: usize) -> usize {
    // Only the upper half of a mixed hash depends on all bits.
    let hash = Hasher::mix(hash, hash >> 32) >> 32;
    ((hash * buckets as u64) >> 32) as usize
}

/// Searches an indexed table for the routes of a path. Does one lookup for each shape in order of
/// precedence, and stops after the first shape that has a route for the method.
pub(super) fn search_index(router: &Router, path: &[u8], asked: Methods) -> Found {
    let mut found = Found::NOTHING;
    let Some(hashes) = Hashes::of(path) else { return found };
    let Links { heads, nexts, shapes } = router.links;
    for shape in shapes {
        let Some(hash) = hashes.in_shape(*shape) else { continue };
        let mut next = heads.get(bucket(hash, heads.len()));
        while let Some(number) = next
            && let Some(route) = router.routes.get(usize::from(*number))
        {
            let own = route.path.as_bytes();
            let has_path = if shape.is_literal() { own == path } else { fit(own, path) == Some(*shape) };
            if has_path && found.add(route, asked) {
                found.route = Some(route);
            }
            next = nexts.get(usize::from(*number));
        }
        if found.route.is_some() {
            break;
        }
    }
    found
}
