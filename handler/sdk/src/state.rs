//! Values that are computed once and read by every request.

use crate::export::Once;

/// Value that a function computes once. If [`export!`](crate::export!) lists the state under
/// `prepare`, the value is computed when a version of the module starts. Otherwise each request
/// that uses the value computes it on first use, because every request starts from the state of the
/// module after its start.
///
/// ```
/// use handler_sdk::{Request, Response, State, Status};
///
/// static SQUARES: State<[u32; 100]> = State::new(|| std::array::from_fn(|n| (n * n) as u32));
///
/// fn answer(_: Request<'_>) -> Response<'_> {
///     let last = SQUARES.get().last();
///     Response::new(if last == Some(&9801) { Status::OK } else { Status::NOT_FOUND })
/// }
///
/// // In a module:  handler_sdk::export!(answer, prepare = [SQUARES]);
/// let response = handler_sdk::respond(b"GET / HTTP/1.1\r\n\r\n", answer);
/// assert_eq!(response.status(), Status::OK);
/// ```
///
/// The value is read-only, so it passes nothing between requests. Every instance of
/// the module has a copy in its memory.
pub struct State<T> {
    value: Once<T>,
    make: fn() -> T,
}

impl<T> State<T> {
    /// Creates a state from the function that computes the value. The function must not use the
    /// state itself.
    pub const fn new(make: fn() -> T) -> Self {
        State { value: Once::new(), make }
    }

    /// Returns the value. Computes it on first use.
    ///
    /// # Panics
    ///
    /// When the function that was passed to [`State::new`] panics. If [`export!`](crate::export!)
    /// names the state under `prepare`, the panic happens when the version starts, and the version
    /// is rejected.
    pub fn get(&self) -> &T {
        self.value.get_or_init(self.make)
    }
}
