//! Documents with validators of each kind.

use handler_sdk::{
    ETag, HttpDate, Precondition, Request, Response, Router, SetCookie, Status, Validators, fill_random, get,
    put,
};

/// Content of the documents, except `/empty` and `/gone`.
pub const TEXT: &str = "0123456789";

/// Time of the last change of the documents: Sun, 06 Nov 1994 08:49:37 GMT.
const CHANGED: HttpDate = HttpDate::from_unix_seconds(784_111_777);
const STRONG: Validators<'_> = Validators::of(ETag::strong("v1"));
const WEAK: Validators<'_> = Validators::of(ETag::weak("v1"));
const BOTH: Validators<'_> = Validators::of(ETag::strong("v1")).last_modified(CHANGED);

const ROUTES: Router = Router::new(&[
    get("/strong", |request| page(request, &STRONG)),
    put("/strong", |request| change(request, Some(&STRONG))),
    get("/weak", |request| page(request, &WEAK)),
    put("/weak", |request| change(request, Some(&WEAK))),
    get("/both", |request| page(request, &BOTH)),
    put("/both", |request| change(request, Some(&BOTH))),
    get("/dated", |request| page(request, &DATED)),
    put("/dated", |request| change(request, Some(&DATED))),
    put("/new", |request| change(request, None)),
    get("/empty", |request| Response::text(Status::OK, "").conditional(request, &STRONG)),
    get("/gone", |request| Response::text(Status::GONE, "gone").conditional(request, &STRONG)),
    get("/random/{count}", random),
]);

/// Validators without an entity tag.
static DATED: Validators<'_> = Validators::dated(CHANGED);

/// Answers a request by calling the action of the matching route.
pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn page<'a>(request: Request<'a>, validators: &Validators<'_>) -> Response<'a> {
    Response::text(Status::OK, TEXT).field("cache-control", "max-age=60").conditional(request, validators)
}

fn change<'a>(request: Request<'a>, current: Option<&Validators<'_>>) -> Response<'a> {
    match request.precondition(current) {
        Precondition::Passed => Response::new(Status::NO_CONTENT),
        Precondition::NotModified => Response::new(Status::NOT_MODIFIED),
        Precondition::Failed => Response::new(Status::PRECONDITION_FAILED),
    }
}

/// Draws as many random bytes as the path says, and sets a cookie with one letter for each byte.
fn random(request: Request<'_>) -> Response<'_> {
    let mut room = [0; 64];
    let count = request.param("count").and_then(|count| count.parse()).unwrap_or(0);
    let drawn = room.get_mut(..count).unwrap_or_default();
    fill_random(drawn);
    drawn.iter_mut().for_each(|byte| *byte = b'a' + (*byte & 15));
    let letters = core::str::from_utf8(drawn).unwrap_or_default();
    Response::new(Status::NO_CONTENT).set_cookie(&SetCookie::new("random", letters))
}
