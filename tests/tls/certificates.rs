//! The certificate for each client, and its replacement while the server runs.

use std::fs;
use std::time::{Duration, SystemTime};

use super::parts::{Authority, FUTURE, NOW, PAST, Secure, Terms, pair, put_authority};
use crate::harness::{Configured, Folder, Server, host, output_of, wait_until};

/// Certificate and key of the curve secp256k1, which is not spoken in TLS.
const OTHER_CURVE: (&str, &str) = (
    "-----BEGIN CERTIFICATE-----\n\
     MIIBiDCCAS+gAwIBAgIUdQEWlXEN3sTOHQ/IVF0ValPuEC4wCgYIKoZIzj0EAwIw\n\
     ETEPMA0GA1UEAwwGYS50ZXN0MCAXDTI2MTEyODE1NTYwMVoYDzIxMjYxMTA0MTU1\n\
     NjAxWjARMQ8wDQYDVQQDDAZhLnRlc3QwVjAQBgcqhkjOPQIBBgUrgQQACgNCAASh\n\
     9DwmKsrz2AgJxlskW+VlBQs3mpzsdb9mAVcErxlJHlLLVU0TWhQwa5IC5HXbZc8w\n\
     4eWLvPDRmgQHgftjysNoo2YwZDAdBgNVHQ4EFgQUE8h8hiEkNOtYtzzVD6eK9akE\n\
     sckwHwYDVR0jBBgwFoAUE8h8hiEkNOtYtzzVD6eK9akEsckwDwYDVR0TAQH/BAUw\n\
     AwEB/zARBgNVHREECjAIggZhLnRlc3QwCgYIKoZIzj0EAwIDRwAwRAIga5wN3yG6\n\
     sUTZmIz4sNcq+L2tEXwnMh7uuqrckowppEoCIG2bO4ebxeUx2TYeOejY18VuGOLt\n\
     JBotsqE03EqAxRvW\n\
     -----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n\
     MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQg08pqhyrV0rXR7KjzcQ2A\n\
     n4jTMWMOb4mmNVlx78OGGg+hRANCAASh9DwmKsrz2AgJxlskW+VlBQs3mpzsdb9m\n\
     AVcErxlJHlLLVU0TWhQwa5IC5HXbZc8w4eWLvPDRmgQHgftjysNo\n\
     -----END PRIVATE KEY-----\n",
);

#[test]
fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let secure = Secure::start_with(&["b.test", "c.wild.test"], &[]);
    let of = |name: &str| {
        let client = secure.terms().connect(secure.server.addresses[0], name);
        client.map(|client| client.certificate())
    };
    let (a, b, c) = (of("a.test").unwrap(), of("b.test").unwrap(), of("c.wild.test").unwrap());
    assert!(a != b && b != c && a != c);
    assert_eq!(of("x.wild.test").unwrap(), a);
    // An address is no name of TLS, so the first certificate is for it, too.
    assert_eq!(of("127.0.0.1").unwrap(), a);
    // A wildcard stands for one label. The client gets the first certificate, and refuses it.
    for name in ["y.x.wild.test", "wild.test", "unknown.test"] {
        let refused = of(name).unwrap_err();
        assert!(refused.contains("not valid for name"), "{name}: {refused}");
    }
}

#[test]
fn a_certificate_is_swapped_and_connections_live_on() {
    let secure = Secure::start(&[]);
    let mut old = secure.connect();
    let before = old.certificate();
    assert_eq!(old.ask("GET", "/").status, 200);
    for round in 0..3 {
        let next = secure.authority.issue(&["a.test"], NOW);
        next.put(&secure.folder, "a");
        wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
        assert_eq!(old.ask("GET", "/").status, 200, "round {round}");
    }
    assert_eq!(old.certificate(), before);
    let (code, said) = secure.cert();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("  names   a.test\n") && said.contains("2100-01-01T00:00:00Z"), "{said}");
    assert!(said.contains("issuer  CN=authority"), "{said}");
}

#[test]
fn a_bad_certificate_never_replaces_a_good_one() {
    let mut secure = Secure::start(&[]);
    let good = secure.connect().certificate();
    let (authority, folder) = (&secure.authority, &secure.folder);
    let cert = |text: &str| fs::write(folder.file("a.pem"), text).unwrap();
    let key = |text: &str| fs::write(folder.file("a.key"), text).unwrap();
    let next = authority.issue(&["a.test"], NOW);
    cert(&next.cert);
    secure.is_refused("is not that of this certificate");
    cert("no certificate");
    secure.is_refused("it has no block `BEGIN CERTIFICATE`");
    cert("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    secure.is_refused("certificate 1 of the chain is malformed");
    fs::remove_file(folder.file("a.pem")).unwrap();
    secure.is_refused("there is no such file");
    cert(&next.cert);
    key("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    secure.is_refused("it is encrypted; expected one without a password");
    key(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    secure.is_refused("it is encrypted; expected one without a password");
    key("");
    secure.is_refused("it has no block `BEGIN PRIVATE KEY`");
    cert(OTHER_CURVE.0);
    key(OTHER_CURVE.1);
    secure.is_refused(
        "a.key (--tls-key) cannot be used, and the certificate is for a key of an elliptic curve of 256 bits; expected RSA of 2048",
    );
    let expired = authority.issue(&["a.test"], PAST);
    expired.put(folder, "a");
    secure.is_refused("it expired at 2021-01-01T00:00:00Z");
    authority.issue(&["a.test"], FUTURE).put(folder, "a");
    secure.is_refused("it is not valid before 2090-01-01T00:00:00Z");
    authority.issue(&[], NOW).put(folder, "a");
    secure.is_refused("has no names (subjectAltName)");
    // A chain in another order.
    cert(&format!("{}{}", next.cert, next.cert));
    key(&next.key);
    let said = secure.is_refused("certificate 2 of the chain is not that of the issuer of one before it");
    assert!(said.contains(&format!("sha256  {good}")), "{said}");
    assert_eq!(secure.connect().certificate(), good);
    cert(&format!("{}{}", authority.pem(), next.cert));
    secure.is_refused("that of an authority, and the server's own certificate comes first");
    // A chain with its authority is in order.
    cert(&format!("{}{}", next.cert, authority.pem()));
    wait_until("the good certificate", || secure.connect().certificate() == next.sha256());
    assert!(!secure.cert().1.contains("refused"));
    secure.server.log_line(&[
        "a certificate is not replaced: the one before it goes on",
        "is not that of this certificate",
    ]);
    secure.server.log_line(&["certificate published for new connections", "a.pem"]);
}

#[test]
fn a_certificate_whose_time_begins_is_published_then() {
    let mut secure = Secure::start(&[]);
    let begin = SystemTime::now() + Duration::from_secs(6);
    let next = secure.authority.issue_from(&["a.test"], begin);
    next.put(&secure.folder, "a");
    secure.server.log_line(&["a certificate is not replaced", "it is not valid before "]);
    wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
    assert!(SystemTime::now() >= begin - Duration::from_secs(1));
}

#[test]
fn an_issuer_of_the_same_name_with_another_key_is_another_one() {
    let secure = Secure::start(&[]);
    let next = secure.authority.issue(&["a.test"], NOW);
    let both = |authority: &Authority| format!("{}{}", next.cert, authority.pem());
    fs::write(secure.folder.file("a.key"), &next.key).unwrap();
    fs::write(secure.folder.file("a.pem"), both(&Authority::new("authority"))).unwrap();
    secure.is_refused("certificate 2 of the chain is not that of the issuer of one before it");
    fs::write(secure.folder.file("a.pem"), both(&secure.authority)).unwrap();
    wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
}

#[test]
fn a_reload_adds_certificates_as_a_whole_or_not_at_all() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    authority.issue(&["b.test"], NOW).put(&folder, "b");
    let place = Configured::start(folder, "tls-cert = 'a.pem'\ntls-key = 'a.key'\n");
    let terms = Terms::new(&authority);
    let connect = |name: &str| terms.connect(place.server.addresses[0], name);
    assert!(connect("a.test").is_ok() && connect("b.test").is_err());
    let both = "tls-cert = ['a.pem', 'b.pem']\ntls-key = ['a.key', 'b.key']\n";
    let (code, said) = place.reload(both);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("tls-cert") && said.contains("tls-key"), "{said}");
    assert_eq!(connect("b.test").unwrap().ask("GET", "/").status, 200);
    for (lines, cause) in [
        ("tls-cert = ['a.pem', 'b.pem']\ntls-key = ['b.key', 'a.key']\n", "is not that of this certificate"),
        ("tls-cert = ['a.pem', 'b.pem']\ntls-key = 'a.key'\n", "found 2 of --tls-cert and 1 of --tls-key"),
        ("tls-cert = ['a.pem', 'c.pem']\ntls-key = ['a.key', 'c.key']\n", "there is no such file"),
        ("", "TLS is turned on and off by a restart only"),
    ] {
        let (code, said) = place.reload(lines);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(cause), "{said}");
        assert!(connect("a.test").is_ok() && connect("b.test").is_ok());
    }
    // A change of who may come ends the sessions from before it.
    assert!(
        connect("b.test").unwrap().ask("GET", "/").status == 200 && connect("b.test").unwrap().is_resumed()
    );
    let protocol = || {
        let terms = Terms::new(&authority).speaking(&[b"h2", b"http/1.1"]);
        let client = terms.connect(place.server.addresses[0], "b.test").unwrap();
        client.stream.conn.alpn_protocol().map(<[u8]>::to_vec)
    };
    assert_eq!(protocol(), Some(b"h2".to_vec()));
    let (code, said) = place.reload(&format!("{both}no-h2 = true\n"));
    assert_eq!((code, protocol()), (0, Some(b"http/1.1".to_vec())), "{said}");
    put_authority(&place.folder, "clients.pem", &authority);
    let (code, said) = place.reload(&format!("{both}tls-client-ca = 'clients.pem'\n"));
    assert_eq!(code, 0, "{said}");
    let mut without = connect("b.test").unwrap();
    assert!(!without.is_resumed());
    without.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(without.try_reply_to("GET").is_none());
}

#[test]
fn what_cannot_be_served_is_told_at_the_start() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    authority.issue(&["b.test"], NOW).put(&folder, "b");
    let (a, b) = (pair(&folder, "a"), pair(&folder, "b"));
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (arguments, expected) in [
        (words(&["--tls-cert", &a[1], "--tls-key", &b[3]]), "is not that of this certificate"),
        (words(&["--tls-cert", &a[1]]), "found 1 of --tls-cert and 0 of --tls-key"),
        (
            words(&["--tls-cert", "none.pem", "--tls-key", &a[3]]),
            "cannot use the certificate none.pem (--tls-cert): there is no such file",
        ),
        (words(&["--listen", "127.0.0.1:0,tls"]), "127.0.0.1:0,tls needs a certificate"),
        (words(&["--listen", "127.0.0.1:0,redirect"]), "127.0.0.1:0,redirect needs a certificate"),
        (
            [a.clone(), words(&["--listen", "127.0.0.1:0,redirect", "--listen", "127.0.0.1:0,plain"])]
                .concat(),
            "127.0.0.1:0,redirect needs an address with TLS, to which it leads; expected --listen HOST:PORT",
        ),
        ([a.clone(), words(&["--listen", "unix:a,tls"])].concat(), "TLS is spoken at HOST:PORT only"),
        (words(&["--tls-cert", "a.pem,b.pem", "--tls-key", &a[3]]), "for several files, repeat --tls-cert"),
        ([a.clone(), words(&["--hsts", "3years"])].concat(), "at most 2years"),
        (words(&["--tls-min", "1.3"]), "--tls-min needs a certificate"),
        ([a.clone(), words(&["--tls-client", "required"])].concat(), "--tls-client needs authorities"),
        (words(&["--hsts", "1d"]), "--hsts needs a certificate"),
        (words(&["--tls-client-ca", "x"]), "--tls-client-ca needs a certificate"),
        (
            [a.clone(), words(&["--tls-client-ca", &a[3]])].concat(),
            "(--tls-client-ca): it has no block `BEGIN CERTIFICATE`",
        ),
        (
            [a.clone(), words(&["--listen", "127.0.0.1:0,https"])].concat(),
            "found `,https` behind the address; expected ,tls ,plain ,redirect or ,proxy",
        ),
    ] {
        let mut command = host();
        command.args(["--no-control"]).args(&arguments);
        if !arguments.contains(&"--listen".to_owned()) {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let (code, said) = output_of(&mut command);
        assert!(code == 1 || code == 2, "{code} {said}");
        assert!(
            said.starts_with("error: ") && said.lines().count() == 1 && said.contains(expected),
            "{said}"
        );
    }
}

#[test]
fn an_upgrade_keeps_connections_and_certificates() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    let mut place = Configured::start(folder, "tls-cert = 'a.pem'\ntls-key = 'a.key'\n");
    let terms = Terms::new(&authority);
    let address = place.server.addresses[0];
    let mut old = terms.connect(address, "a.test").unwrap();
    assert_eq!(old.ask("GET", "/").status, 200);
    place.server.upgrade();
    let last = old.ask("GET", "/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    assert!(old.ends());
    assert_eq!(terms.connect(address, "a.test").unwrap().ask("GET", "/").status, 200);
    // A certificate that has become bad since keeps the old process.
    fs::write(place.folder.file("a.key"), "").unwrap();
    let cause = place.server.fails_to_upgrade();
    assert!(cause.contains("it has no block `BEGIN PRIVATE KEY`"), "{cause}");
    assert_eq!(terms.connect(address, "a.test").unwrap().ask("GET", "/").status, 200);
}

#[test]
fn a_certificate_that_is_not_valid_is_told_where_certificates_are_shown() {
    for (years, state, warned) in [
        (PAST, "has expired", "the certificate has expired (--tls-cert)"),
        (FUTURE, "is not valid yet", "the certificate is not valid yet (--tls-cert)"),
    ] {
        let (authority, folder) = (Authority::new("authority"), Folder::new());
        authority.issue(&["a.test"], years).put(&folder, "a");
        fs::write(folder.file("host.toml"), "tls-cert = 'a.pem'\ntls-key = 'a.key'\n").unwrap();
        let (code, said) = output_of(host().args(["config", "check"]).current_dir(folder.file("")));
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("warning: the certificate ") && said.contains(state), "{said}");
        let control = folder.path("control");
        let mut server =
            Server::with(&[pair(&folder, "a"), vec!["--control".into(), control.clone()]].concat());
        server.log_line(&[warned, "a.pem"]);
        let ask = |command: &str| output_of(host().args([command, "--control", &control]));
        let (code, said) = ask("cert");
        assert!(code == 1 && said.contains(&format!("  state   {state}\n")), "{code} {said}");
        let (_, said) = ask("status");
        assert!(said.contains(&format!("Z, {state}\n")), "{said}");
    }
    let (code, said) = Secure::start(&[]).cert();
    assert!(code == 0 && said.contains("  state   expires in "), "{code} {said}");
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_the_line_of_its_setting() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    let lines =
        |key: &str, ca: &str| format!("tls-cert = 'a.pem'\ntls-key = '{key}'\ntls-client-ca = '{ca}'\n");
    put_authority(&folder, "ca.pem", &authority);
    for (text, begin) in [
        (lines("gone.key", "ca.pem"), "error: host.toml:2: tls-key: cannot use the private key "),
        (lines("a.key", "gone.pem"), "error: host.toml:3: tls-client-ca: cannot use the certificate "),
    ] {
        fs::write(folder.file("host.toml"), text).unwrap();
        let (code, said) = output_of(host().args(["config", "check"]).current_dir(folder.file("")));
        assert!(code == 1 && said.starts_with(begin), "{code} {said}");
    }
    // What cannot vouch for a client is told.
    fs::write(folder.file("host.toml"), lines("a.key", "a.pem")).unwrap();
    let (code, said) = output_of(host().args(["config", "check"]).current_dir(folder.file("")));
    assert!(code == 0 && said.contains("(--tls-client-ca) is not that of an authority"), "{code} {said}");
}
