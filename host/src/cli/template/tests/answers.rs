//! Calls the routes natively, from the bytes of a request to the response.

use handler_sdk::respond;
use {{crate}}::answer;

/// Returns the status and the whole response to a request.
fn ask(method: &str, target: &str) -> (u16, String) {
    let request = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let response = respond(request.as_bytes(), answer);
    let mut bytes = vec![0; response.encoded_len()];
    response.encode(&mut bytes).unwrap();
    (response.status().code(), String::from_utf8(bytes).unwrap())
}

#[test]
fn each_route_has_its_page() {
    for (target, page) in [("/", "<h1>it works</h1>"), ("/about", "<h1>about {{name}}</h1>")] {
        let (status, response) = ask("GET", target);
        assert_eq!(status, 200);
        assert!(response.ends_with(page), "{response}");
    }
}

#[test]
fn what_no_route_takes_is_404_or_405() {
    assert_eq!(ask("GET", "/nope").0, 404);
    assert_eq!(ask("POST", "/").0, 405);
}
