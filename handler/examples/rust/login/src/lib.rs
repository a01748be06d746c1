//! A login that is kept in a signed cookie: the server stores no sessions.
//!
//! The keys and the password become part of the module when it is built, so anyone who
//! can read the module has them.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::format;
use handler_sdk::{Request, Response, Router, SameSite, SetCookie, SigningKeys, Status, export, get, post};

const KEY: &[u8] = match option_env!("LOGIN_KEY") {
    Some(key) => key.as_bytes(),
    None => b"this key is public: build with LOGIN_KEY",
};

/// Previous key, which is needed until the cookies that were signed with it have expired. If
/// `LOGIN_KEY_BEFORE` is not set, there is no previous key, and this one equals [`KEY`].
const KEY_BEFORE: &[u8] = match option_env!("LOGIN_KEY_BEFORE") {
    Some(key) => key.as_bytes(),
    None => KEY,
};

const KEYS: SigningKeys<'_> = SigningKeys::new(&[KEY, KEY_BEFORE]);

const PASSWORD: &str = match option_env!("LOGIN_PASSWORD") {
    Some(password) => password,
    None => "open sesame",
};

/// Lifetime of a session: eight hours, in seconds.
const SESSION: u32 = 8 * 3600;

const FORM: &str = "<form method=\"post\" action=\"/login\">\n\
    <input name=\"user\"> <input name=\"password\" type=\"password\"> <button>Log in</button>\n\
    </form>\n";

const ROUTES: Router = Router::new(&[get("/", index), post("/login", enter), post("/logout", leave)]);

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request).field("cache-control", "no-store")
}

fn index(request: Request<'_>) -> Response<'_> {
    match KEYS.read_cookie(request, "session") {
        Some(user) => Response::text(Status::OK, format!("hello {user}\n")),
        None => Response::html(Status::UNAUTHORIZED, FORM),
    }
}

fn enter(request: Request<'_>) -> Response<'_> {
    let value = |name| request.form().value(name).and_then(|value| value.to_text());
    match (value("user"), value("password")) {
        (Some(user), Some(password)) if !user.is_empty() && user.len() <= 100 && is_right(&password) => {
            let session = KEYS.cookie(request, "session", &user, SESSION);
            let session = session.path("/").http_only().secure().same_site(SameSite::Lax);
            Response::redirect("/").set_cookie(&session)
        }
        _ => Response::html(Status::UNAUTHORIZED, FORM),
    }
}

/// Returns whether a password is correct. Compares signatures, because the time to compare the
/// passwords themselves would reveal how many leading bytes are correct.
fn is_right(password: &str) -> bool {
    KEYS.verify(&[password.as_bytes()], &KEYS.sign(&[PASSWORD.as_bytes()]))
}

fn leave(_: Request<'_>) -> Response<'static> {
    Response::redirect("/").set_cookie(&SetCookie::removal("session").path("/"))
}

#[cfg(test)]
mod tests {
    use super::{PASSWORD, answer};
    use handler_sdk::respond;
    use std::string::String;
    use std::{format, vec};

    fn ask(line: &str, cookie: &str, body: &str, seconds: u32) -> (u16, String) {
        let request = format!(
            "{line} HTTP/1.1\r\ncookie: {cookie}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\nx-request-time: {seconds}000\r\n\r\n{body}",
            body.len()
        );
        let response = respond(request.as_bytes(), answer);
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).unwrap();
        (response.status().code(), String::from_utf8(bytes).unwrap())
    }

    fn log_in() -> String {
        let password = PASSWORD.replace(' ', "+");
        let (code, text) = ask("POST /login", "", &format!("user=ada&password={password}"), 1000);
        assert!(code == 303 && text.contains("; HttpOnly; Secure; SameSite=Lax\r\n"), "{text}");
        let (_, cookie) = text.split_once("set-cookie: ").unwrap();
        cookie.split_once(';').unwrap().0.into()
    }

    #[test]
    fn a_session_lasts_for_its_time() {
        let cookie = log_in();
        let (code, text) = ask("GET /", &cookie, "", 1000 + super::SESSION - 1);
        assert!(code == 200 && text.ends_with("hello ada\n"), "{text}");
        assert_eq!(ask("GET /", &cookie, "", 1000 + super::SESSION).0, 401);
        assert_eq!(ask("GET /", &cookie.replace("ada", "bob"), "", 1000).0, 401);
        assert_eq!(ask("GET /", "", "", 1000).0, 401);
    }

    #[test]
    fn a_wrong_password_sets_no_cookie() {
        for body in
            ["", "user=ada", "user=ada&password=", "user=ada&password=x", "user=&password=open+sesame"]
        {
            let (code, text) = ask("POST /login", "", body, 0);
            assert!(code == 401 && !text.contains("set-cookie"), "{body}: {text}");
        }
        assert!(ask("POST /logout", "", "", 0).1.contains("set-cookie: session=; Path=/; Max-Age=0\r\n"));
    }
}
