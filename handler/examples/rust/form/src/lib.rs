//! An HTML form. GET shows the form, and POST validates the input. If a value is invalid, POST
//! shows the form again with error messages.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::string::String;
use core::fmt::{self, Write as _};
use handler_sdk::{Request, Response, Router, Status, export, get, post};

const ROUTES: Router = Router::new(&[get("/", show), post("/", submit), get("/thanks", thanks)]);

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

/// Values that were entered into the form, and an error message for each invalid one.
#[derive(Default)]
struct Entry {
    name: String,
    seats: String,
    name_error: Option<&'static str>,
    seats_error: Option<&'static str>,
}

impl Entry {
    fn of(request: Request<'_>) -> Entry {
        // A value that is missing or not UTF-8 counts as empty.
        let text = |name| {
            let text = request.form().value(name).and_then(|value| value.to_text());
            text.as_deref().unwrap_or_default().trim().into()
        };
        let mut entry = Entry { name: text("name"), seats: text("seats"), ..Entry::default() };
        if !(1..=50).contains(&entry.name.chars().count()) {
            entry.name_error = Some("Please give a name of at most 50 letters.");
        }
        if !entry.seats.parse().is_ok_and(|seats: u8| (1..=8).contains(&seats)) {
            entry.seats_error = Some("Please ask for 1 to 8 seats.");
        }
        entry
    }

    fn page(&self, status: Status) -> Response<'static> {
        let mut page = String::from("<!doctype html><title>Seats</title><form method=\"post\">");
        for (name, label, value, error) in
            [("name", "Name", &self.name, self.name_error), ("seats", "Seats", &self.seats, self.seats_error)]
        {
            // Writing to a string cannot fail.
            let _ =
                write!(page, "<p><label>{label} <input name={name} value=\"{}\"></label>", Escaped(value));
            if let Some(error) = error {
                let _ = write!(page, " <strong>{error}</strong>");
            }
        }
        page.push_str("<p><button>Book</button></form>");
        Response::html(status, page)
    }
}

fn show(_: Request<'_>) -> Response<'static> {
    Entry::default().page(Status::OK)
}

fn submit(request: Request<'_>) -> Response<'static> {
    if request.media_type() != b"application/x-www-form-urlencoded" {
        return Response::html(Status::UNSUPPORTED_MEDIA_TYPE, "<h1>expected a form</h1>");
    }
    let entry = Entry::of(request);
    if entry.name_error.is_some() || entry.seats_error.is_some() {
        return entry.page(Status::UNPROCESSABLE_CONTENT);
    }
    // 303: the browser goes on with GET, so reloading the page does not send the form again.
    Response::redirect("/thanks")
}

fn thanks(_: Request<'_>) -> Response<'static> {
    Response::html(Status::OK, "<!doctype html><title>Seats</title><p>Thank you.")
}

/// Text that is escaped for HTML when it is formatted. It may also be used inside a quoted
/// attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            letter => out.write_char(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::answer;
    use handler_sdk::respond;
    use std::{format, string::String};

    fn send(form: &str) -> (u16, String) {
        let request = format!(
            "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        let response = respond(request.as_bytes(), answer);
        let mut bytes = [0; 2048];
        let length = response.encode(&mut bytes).unwrap();
        (response.status().code(), String::from_utf8(bytes[..length].into()).unwrap())
    }

    #[test]
    fn a_good_entry_goes_on_to_another_page() {
        let (code, message) = send("name=Ada+Lovelace&seats=2");
        assert_eq!(code, 303);
        assert!(message.contains("\r\nlocation: /thanks\r\n"), "{message}");
    }

    #[test]
    fn a_bad_entry_is_shown_again_as_text() {
        let (code, message) = send("name=%22%3E%3Cscript%3E%26&seats=9");
        assert_eq!(code, 422);
        assert!(message.contains("value=\"&quot;&gt;&lt;script&gt;&amp;\""), "{message}");
        assert!(message.contains("value=\"9\"></label> <strong>Please ask for 1 to 8"), "{message}");
        assert!(!message.contains("Please give"), "{message}");
    }

    #[test]
    fn what_is_missing_or_too_long_is_wrong() {
        let long = format!("name={}&seats=1", "a".repeat(51));
        for form in ["", "name=&seats=1", "name=+&seats=1", "name=a&seats=0", "name=a&seats=x", &long] {
            assert_eq!(send(form).0, 422, "{form}");
        }
        assert_eq!(send(&format!("name={}&seats=8", "ä".repeat(50))).0, 303);
    }
}
