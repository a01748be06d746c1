//! A receiver of webhooks. It accepts only messages that the sender has signed, and only
//! soon after they were sent.
//!
//! The sender signs `TIME.BODY` by HMAC-SHA256 with the shared secret, and sends
//! `x-timestamp: TIME`, in seconds since 1970, and `x-signature: sha256=HEX`.

#![no_std]

#[cfg(test)]
extern crate std;

use core::str;

use handler_sdk::{Level, Request, Response, Router, SigningKeys, Status, export, log, post};

const SECRET: &[u8] = match option_env!("WEBHOOK_SECRET") {
    Some(secret) => secret.as_bytes(),
    None => b"this secret is public: build with WEBHOOK_SECRET",
};

const SENDER: SigningKeys<'_> = SigningKeys::new(&[SECRET]);

/// Maximum age of a message in seconds. An older message may be a replay: a copy, sent by somebody
/// who has seen the message.
const AGE_MAX: u64 = 300;

const ROUTES: Router = Router::new(&[post("/hook", receive)]);

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn receive(request: Request<'_>) -> Response<'static> {
    match check(request) {
        Ok(body) => {
            log!(Level::Info, "took {} bytes", body.len());
            Response::new(Status::NO_CONTENT)
        }
        Err(why) => Response::text(Status::UNAUTHORIZED, why),
    }
}

/// Returns the body if the signature is valid and the timestamp differs from the current time by at
/// most [`AGE_MAX`]. Otherwise returns the error message for the sender.
fn check(request: Request<'_>) -> Result<&[u8], &'static str> {
    let time = request.field("x-timestamp").ok_or("x-timestamp is missing\n")?;
    let signature = request.field("x-signature").and_then(|value| value.strip_prefix(b"sha256="));
    let signature = signature.ok_or("x-signature is missing; expected sha256=HEX\n")?;
    if !SENDER.verify_hex(&[time, b".", request.body()], signature) {
        return Err("x-signature is not that of this message\n");
    }
    let sent = number(time).ok_or("x-timestamp is not a number of seconds\n")?;
    let now = request.time().map_or(0, |time| time.as_secs());
    if now.abs_diff(sent) > AGE_MAX {
        return Err("x-timestamp is more than 300 seconds from now\n");
    }
    Ok(request.body())
}

fn number(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{SENDER, answer};
    use handler_sdk::respond;
    use std::format;
    use std::string::String;

    fn signature(time: &str, body: &str) -> String {
        let signature = SENDER.sign(&[time.as_bytes(), b".", body.as_bytes()]);
        let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={digits}")
    }

    fn status(time: &str, signature: &str, body: &str) -> u16 {
        let request = format!(
            "POST /hook HTTP/1.1\r\nx-timestamp: {time}\r\nx-signature: {signature}\r\ncontent-length: {}\r\n\
             x-request-time: 1000000\r\n\r\n{body}",
            body.len()
        );
        respond(request.as_bytes(), answer).status().code()
    }

    #[test]
    fn only_what_the_sender_signed_is_taken() {
        let signed = signature("1000", "{}");
        for (name, time, signature, body, expected) in [
            ("as sent", "1000", &*signed, "{}", 204),
            ("another body", "1000", &signed, "{ }", 401),
            ("another time", "1001", &signed, "{}", 401),
            ("no algorithm", "1000", &signed[7..], "{}", 401),
            ("cut off", "1000", &signed[..70], "{}", 401),
            ("nothing", "1000", "", "{}", 401),
        ] {
            assert_eq!(status(time, signature, body), expected, "{name}");
        }
    }

    #[test]
    fn an_old_message_is_not_taken() {
        for (time, expected) in [("700", 204), ("1300", 204), ("699", 401), ("1301", 401), ("now", 401)] {
            assert_eq!(status(time, &signature(time, "x"), "x"), expected, "{time}");
        }
    }
}
