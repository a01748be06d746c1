//! A/B test of a page. Each variant is shown to half of the new visitors, and a cookie makes every
//! visitor see the same variant again.

#![no_std]

#[cfg(test)]
extern crate std;

use handler_sdk::{Request, Response, Router, SameSite, SetCookie, Status, export, fill_random, get};

const ROUTES: Router = Router::new(&[get("/", page)]);

/// Lifetime of the cookie that stores a visitor's variant: thirty days, in seconds.
const KEPT: u32 = 30 * 24 * 3600;

/// Percentage of new visitors who see variant `b`.
const SHARE_OF_B: u64 = 50;

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn page(request: Request<'_>) -> Response<'_> {
    let kept =
        request.cookie("variant").and_then(|variant| ["a", "b"].into_iter().find(|name| variant.is(name)));
    let variant = kept.unwrap_or_else(draw);
    let page = if variant == "a" { "<button>Buy</button>\n" } else { "<button>Buy now</button>\n" };
    // A shared cache must not give the page of one visitor to another.
    let response = Response::html(Status::OK, page).field("cache-control", "private");
    match kept {
        Some(_) => response,
        None => {
            let cookie = SetCookie::new("variant", variant).path("/").max_age(KEPT).same_site(SameSite::Lax);
            response.set_cookie(&cookie)
        }
    }
}

fn draw() -> &'static str {
    let mut bits = [0; 8];
    fill_random(&mut bits);
    if u64::from_le_bytes(bits) % 100 < SHARE_OF_B { "b" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::string::String;
    use std::{format, vec};

    fn ask(cookie: &str) -> String {
        let request = format!("GET / HTTP/1.1\r\ncookie: {cookie}\r\n\r\n");
        let response = respond(request.as_bytes(), answer);
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_visitor_keeps_the_first_variant() {
        assert!(ask("variant=a").ends_with("\r\n\r\n<button>Buy</button>\n"));
        assert!(ask("x=1; variant=b").ends_with("\r\n\r\n<button>Buy now</button>\n"));
        assert!(!ask("variant=a").contains("set-cookie"));
    }

    /// Fails if fewer than 300 or more than 700 of 1000 visitors see variant `b`, which happens by
    /// chance in one of 10^36 runs.
    #[test]
    fn half_of_new_visitors_see_each() {
        let seen =
            |cookie: &str| (0..1000).filter(|_| ask(cookie).contains("set-cookie: variant=b;")).count();
        for cookie in ["", "variant=c"] {
            assert!((300..=700).contains(&seen(cookie)), "{cookie}");
        }
    }
}
