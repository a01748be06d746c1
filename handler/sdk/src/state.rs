//! Values that are computed once and read by every request.

use crate::export::Once;

/// A value that is made by a function, once: for a version of the module, when
/// [`export!`](crate::export!) names it under `prepare`, and otherwise when it is
/// first asked for. Then that is in every request that asks for it, since every
/// request starts from what there was when the module had started.
///
/// ```
/// use handler_sdk::{Request, Response, State, Status};
///
/// static SQUARES: State<[u32; 100]> = State::new(|| std::array::from_fn(|n| (n * n) as u32));
///
/// fn answer<'a>(_: &Request<'a>) -> Response<'a> {
///     let last = SQUARES.get().last();
///     Response::new(if last == Some(&9801) { Status::OK } else { Status::NOT_FOUND })
/// }
///
/// // In a module:  handler_sdk::export!(answer, prepare = [SQUARES]);
/// let response = handler_sdk::respond(b"GET / HTTP/1.1\r\n\r\n", answer);
/// assert_eq!(response.status(), Status::OK);
/// ```
///
/// It is read only, and so no way from one request to the next. What it holds of
/// memory it holds in every instance of the module.
pub struct State<T> {
    value: Once<T>,
    make: fn() -> T,
}

impl<T> State<T> {
    /// A value that this function makes. It must not ask for the value itself.
    pub const fn new(make: fn() -> T) -> Self {
        State { value: Once::new(), make }
    }

    /// The value, made now where it was not made before.
    ///
    /// # Panics
    ///
    /// When the function does. Under `prepare` that keeps the version from being
    /// served at all.
    pub fn get(&self) -> &T {
        self.value.get_or_init(self.make)
    }
}
