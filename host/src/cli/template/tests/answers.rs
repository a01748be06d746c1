//! Calls the routes natively, as the host would.

use handler_sdk::test::Client;

use {{crate}}::answer;

#[test]
fn each_route_has_its_page() {
    let client = Client::new(answer);
    for (target, page) in [
        ("/", "<h1>it works</h1>"),
        ("/about", "<h1>about this handler</h1>"),
    ] {
        let reply = client.get(target);
        assert_eq!((reply.status(), reply.text()), (200, page), "{target}");
    }
}

#[test]
fn what_no_route_takes_is_404_or_405() {
    let client = Client::new(answer);
    assert_eq!(client.get("/nope").status(), 404);
    assert_eq!(client.post("/", "a body").status(), 405);
    assert_eq!(
        client.post("/", "").field("allow"),
        Some("GET, HEAD, OPTIONS")
    );
}
