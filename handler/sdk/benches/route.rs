//! Measures how long the router takes to find a route, in tables of 2 to 10,000 routes, whose paths
//! are literal or have a parameter.
//!
//! `cargo bench -p handler-sdk --bench route`

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::time::Instant;

use handler_sdk::{Index, Request, Response, Route, Router, Status, get};

/// Number of requests in one measurement.
const TIMES: usize = 10_000;
/// Number of measurements. The fastest one is reported.
const ROUNDS: usize = 30;
/// Number of different paths that are requested in turn.
const PATHS: usize = 64;

fn show(_: Request<'_>) -> Response<'_> {
    Response::new(Status::OK)
}

fn nanoseconds(router: &Router, requests: &[Request<'_>]) -> f64 {
    let round = |_| {
        let since = Instant::now();
        for time in 0..TIMES {
            let response = router.answer(black_box(requests[time % requests.len()]));
            assert_eq!(black_box(&response).status(), Status::OK);
        }
        since.elapsed().as_secs_f64() * 1e9 / TIMES as f64
    };
    (0..ROUNDS).map(round).fold(f64::MAX, f64::min)
}

/// Measures a table of `N` routes, searched row by row and through an index, and prints the
/// results. `of` returns the path of the route with a given number.
fn measure<const N: usize>(name: &str, of: impl Fn(usize) -> String) {
    let routes: [Route; N] = std::array::from_fn(|number| get(of(number).leak(), show));
    let asked = |number: usize| of(number * 7919 % N).replace("{id}", "4711");
    let bytes: Vec<_> = (0..PATHS).map(|number| format!("GET {} HTTP/1.1\r\n\r\n", asked(number))).collect();
    let requests: Vec<_> = bytes.iter().map(|bytes| Request::parse(bytes.as_bytes()).unwrap()).collect();
    // In a larger table, `Router::new` would take long to compare all pairs of routes.
    let by_line = (N <= 1_000).then(|| Router::new(routes.to_vec().leak()));
    let index = Box::leak(Box::new(Index::new(routes)));
    let indexed = nanoseconds(&Router::indexed(index), &requests);
    let by_line = by_line.map(|router| format!("{:8.1}", nanoseconds(&router, &requests)));
    println!("{N:6} {name:14} by line {:>8} ns   by index {indexed:8.1} ns", by_line.unwrap_or_default());
}

fn both<const N: usize>() {
    measure::<N>("literal", |number| format!("/api/v1/things/{number}/details"));
    measure::<N>("with parameter", |number| format!("/api/v1/things{number}/{{id}}/details"));
}

fn main() {
    // Arrays of this many routes need a larger stack than a program has by default.
    let all = || {
        both::<2>();
        both::<10>();
        both::<100>();
        both::<1_000>();
        both::<10_000>();
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(all).unwrap().join().unwrap();
}
