use crate::harness::Server;

/// What the handler gets for these bytes, without the fields that the host adds.
fn canonical(request: &str) -> String {
    let server = Server::of("show.wat");
    let mut client = server.connect();
    client.send(request);
    let method = request.split(' ').next().unwrap();
    let text = client.reply_to(method).text().to_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let kept = head.lines().filter(|line| {
        !["x-request-id: ", "x-forwarded-for: ", "x-request-time: "].iter().any(|name| line.starts_with(name))
    });
    format!("{}||{body}", kept.collect::<Vec<_>>().join("|"))
}

#[test]
fn names_are_in_lower_case_and_order_is_kept() {
    assert_eq!(
        canonical("GET /a?b HTTP/1.1\r\nHost: h\r\nX-B:  1 \r\nx-a: 2\r\nX-b: 3\r\n\r\n"),
        "GET /a?b HTTP/1.1|host: h|x-b: 1|x-b: 3|x-a: 2||"
    );
}

#[test]
fn a_body_has_one_correct_length_however_it_came() {
    let length = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi";
    let chunked =
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n";
    for request in [length, chunked] {
        assert_eq!(canonical(request), "POST / HTTP/1.1|host: h|content-length: 2||hi");
    }
    assert_eq!(
        canonical("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"),
        "POST / HTTP/1.1|host: h||"
    );
}

#[test]
fn what_belongs_to_the_connection_is_gone() {
    assert_eq!(
        canonical(
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, X-Mine\r\nkeep-alive: 5\r\nx-mine: 1\r\n\
             te: trailers\r\nupgrade: h2c\r\nproxy-connection: keep-alive\r\nx-kept: 2\r\n\r\n"
        ),
        "GET / HTTP/1.1|host: h|x-kept: 2||"
    );
}

#[test]
fn an_old_version_and_an_absolute_target_become_the_usual_form() {
    assert_eq!(canonical("GET /a HTTP/1.0\r\n\r\n"), "GET /a HTTP/1.1||");
    assert_eq!(
        canonical("GET http://example:80/a?b HTTP/1.1\r\nhost: example:80\r\n\r\n"),
        "GET /a?b HTTP/1.1|host: example:80||"
    );
    assert_eq!(
        canonical("GET http://example HTTP/1.1\r\nhost: example\r\n\r\n"),
        "GET / HTTP/1.1|host: example||"
    );
}

#[test]
fn what_the_host_vouches_for_is_its_own() {
    let server = Server::of("show.wat");
    let mut client = server.connect();
    let mut ids = Vec::new();
    for _ in 0..2 {
        client.send(
            "GET / HTTP/1.1\r\nhost: h\r\nx-request-id: mine\r\nX-Forwarded-For: 192.0.2.1\r\nx-request-time: 1\r\n\r\n",
        );
        let reply = client.reply_to("GET");
        let value = |name: &str| {
            let mut values =
                reply.text().lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = values.next().unwrap().to_owned();
            assert_eq!(values.next(), None, "{name} stands there twice");
            value
        };
        assert_eq!(value("x-forwarded-for"), "127.0.0.1");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let time: u128 = value("x-request-time").parse().unwrap();
        assert!(now.abs_diff(time) < 600_000, "{time} is far from {now}");
        assert_eq!(reply.field("x-request-id"), Some(value("x-request-id").as_str()));
        ids.push(value("x-request-id"));
    }
    assert!(ids[0].ends_with("-1-1") && ids[1].ends_with("-1-2"), "{ids:?}");
}
