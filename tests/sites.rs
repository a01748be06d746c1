//! Sites: one server with several handlers, each with its own versions, at its hosts and its
//! path.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::Value;

use crate::harness::modules::saying;
use crate::harness::{Client, Configured, Folder, fixture, host, output_of};

/// Starts a server whose configuration has these lines. `WORD.wat` says a word.
fn start(lines: &str) -> Configured {
    let folder = Folder::new();
    for word in ["a", "b", "c"] {
        fs::write(folder.file(&format!("{word}.wat")), saying(word)).unwrap();
    }
    fs::copy(fixture("show.wat"), folder.file("show.wat")).unwrap();
    Configured::start(folder, lines)
}

/// Asks over a new connection. Returns the status and the body.
fn ask_anew(place: &Configured, host: &str, target: &str) -> (u16, String) {
    ask(&mut place.server.connect(), host, target)
}

/// Ends the clients even if a check fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn ask(client: &mut Client, host: &str, target: &str) -> (u16, String) {
    client.send(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    let reply = client.reply_to("GET");
    (reply.status, reply.text().to_owned())
}

const THREE: &str = "
module = 'a.wat'
[[site]]
name = 'shop'
hosts = ['shop.example', '*.shop.example', '[::0:2]']
module = 'b.wat'
[[site]]
name = 'cart'
hosts = 'shop.example'
path = '/cart'
module = 'c.wat'
";

#[test]
fn the_site_with_the_most_specific_host_and_then_the_longest_path_answers() {
    let place = start(THREE);
    let mut client = place.server.connect();
    for (host, target, word) in [
        ("shop.example", "/", "b"),
        ("SHOP.Example:8080", "/", "b"),
        ("shop.example.", "/carts", "b"),
        ("shop.example", "/cart", "c"),
        ("shop.example", "/cart?x=/", "c"),
        ("shop.example", "/cart/", "c"),
        ("shop.example", "/cart/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", "c"),
        ("shop.example", "/x/cart", "b"),
        ("a.shop.example", "/cart", "b"),
        ("a.b.shop.example", "/", "b"),
        ("xshop.example", "/", "a"),
        ("example", "/cart", "a"),
        ("[::1]:80", "/", "a"),
        ("[0:0:0::2]:80", "/", "b"),
        ("127.0.0.1", "/", "a"),
        ("other.example", "http://shop.example/cart", "c"),
        ("other.example", "http://shop.example?/cart", "b"),
    ] {
        assert_eq!(ask(&mut client, host, target), (200, word.into()), "{host} {target}");
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply_to("GET").text(), "a");
}

#[test]
fn a_request_for_an_unknown_host_or_path_is_refused() {
    let lines = "[[site]]\nname = 'shop'\nhosts = 'shop.example'\npath = '/shop'\nmodule = 'b.wat'\n";
    let mut place = start(lines);
    assert_eq!(ask_anew(&place, "shop.example", "/shop/x").0, 200);
    assert_eq!(ask_anew(&place, "shop.example", "/").0, 404);
    assert_eq!(ask_anew(&place, "other.example", "/shop").0, 421);
    place.server.log_line(&["status=404", "fault=\"path unknown\""]);
    place.server.log_line(&["status=421", "fault=\"host unknown\"", "no site has this host"]);
    // What is refused before its body is read closes the connection.
    let mut client = place.server.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n");
    assert_eq!(client.reply_to("POST").status, 421);
    client.expect_close();
}

#[test]
fn a_path_is_kept_or_stripped() {
    let site = |name: &str, strip: bool| {
        format!("[[site]]\nname = '{name}'\npath = '/{name}'\nstrip-path = {strip}\nmodule = 'show.wat'\n")
    };
    let place = start(&(site("kept", false) + &site("cut", true)));
    for (target, seen) in [
        ("/kept/a?b", "/kept/a?b"),
        ("/cut/a?b", "/a?b"),
        ("/cut", "/"),
        ("/cut?b", "/?b"),
        ("/cut/", "/"),
        ("http://x/cut//a", "//a"),
    ] {
        let (status, text) = ask_anew(&place, "x", target);
        assert_eq!((status, text.lines().next()), (200, Some(&*format!("GET {seen} HTTP/1.1"))), "{target}");
    }
}

#[test]
fn each_site_has_its_own_versions() {
    let mut place = start(THREE);
    let module = place.folder.file("a.wat");
    let module = module.to_str().unwrap();
    let (code, said) = place.run(&["swap", module, "--site", "shop"]);
    assert!(code == 0 && said.starts_with("serving version 2 "), "{said}");
    place.server.log_line(&["serving version 2: ", "site=\"shop\"", "replaced=1"]);
    assert_eq!(ask_anew(&place, "shop.example", "/").1, "a");
    assert_eq!(ask_anew(&place, "shop.example", "/cart").1, "c");
    place.server.log_line(&["target=/cart", "site=\"cart\"", "version=1"]);
    let (_, listed) = place.run(&["versions", "--json", "--site", "cart"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).unwrap().len(), 1);
    let (code, said) = place.run(&["rollback", "--site", "shop"]);
    assert!(code == 0 && said.starts_with("serving version 1 "), "{said}");
    assert_eq!(ask_anew(&place, "shop.example", "/").1, "b");
    // Without --site, a command concerns the site of the general settings.
    let (_, said) = place.run(&["swap", place.folder.file("b.wat").to_str().unwrap()]);
    assert!(said.starts_with("serving version 2 "), "{said}");
    assert_eq!(ask_anew(&place, "other", "/").1, "b");
    let (code, said) = place.run(&["rollback", "--site", "show"]);
    assert_eq!(code, 1);
    assert!(said.contains("there is no site show; expected one of: default, shop, cart"), "{said}");
    let (_, said) = place.run(&["status"]);
    assert!(said.contains("\nserves version 2: "), "{said}");
    assert!(
        said.contains("\nsite shop (shop.example, *.shop.example, [::2]; path /) serves version 1: "),
        "{said}"
    );
    assert!(said.contains("\nsite cart (shop.example; path /cart) serves version 1: "), "{said}");
    // A changed file swaps its own site.
    fs::write(place.folder.file("new"), saying("d")).unwrap();
    fs::rename(place.folder.file("new"), place.folder.file("c.wat")).unwrap();
    place.server.log_line(&["serving version 2: ", "site=\"cart\""]);
    assert_eq!(ask_anew(&place, "shop.example", "/cart").1, "d");
}

#[test]
fn a_command_names_its_site_if_several_are_possible() {
    let two =
        "[[site]]\nname = 'one'\npath = '/1'\nmodule = 'a.wat'\n[[site]]\nname = 'two'\nmodule = 'b.wat'\n";
    let place = start(two);
    let (code, said) = place.run(&["versions"]);
    assert!(
        code == 1 && said.contains("there are several sites; name one (--site, ?site=): one, two"),
        "{said}"
    );
    let one = start("[[site]]\nname = 'one'\nmodule = 'a.wat'\n");
    let (code, said) = one.run(&["versions"]);
    assert!(code == 0, "{said}");
    let curl = |target: &str| {
        let socket = one.folder.file("control");
        let mut curl = Command::new("curl");
        curl.args(["-s", "--unix-socket"]).arg(socket).arg(format!("http://host{target}"));
        output_of(&mut curl).1
    };
    let sites: Value = serde_json::from_str(&curl("/v1/sites")).unwrap();
    assert_eq!(sites[0]["name"], "one");
    assert_eq!(sites[0]["serving"]["number"], 1);
    assert!(curl("/v1/versions/1?site=one").contains("\"number\":1"));
}

#[test]
fn a_reload_adds_and_removes_sites_and_loses_no_request() {
    let with = |more: &str| format!("{THREE}{more}");
    let mut place = start(THREE);
    let (ended, address) = (AtomicBool::new(false), place.server.addresses[0]);
    std::thread::scope(|scope| {
        for (host, target, word) in
            [("x", "/", "a"), ("shop.example", "/", "b"), ("shop.example", "/cart", "c")]
        {
            let ended = &ended;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while !ended.load(Relaxed) {
                    assert_eq!(ask(&mut client, host, target), (200, word.into()));
                }
            });
        }
        let end = EndOnDrop(&ended);
        for round in 1..=5 {
            let (code, said) =
                place.reload(&with("[[site]]\nname = 'new'\npath = '/new'\nmodule = 'b.wat'\n"));
            assert!(
                code == 0 && said.starts_with("reloaded; settings changed: site new (added)\n"),
                "{said}"
            );
            assert_eq!(ask_anew(&place, "x", "/new/x").1, "b", "{round}");
            let (code, said) = place.reload(THREE);
            assert!(
                code == 0 && said.starts_with("reloaded; settings changed: site new (removed)\n"),
                "{said}"
            );
            assert_eq!(ask_anew(&place, "x", "/new/x").1, "a", "{round}");
        }
        drop(end);
    });
    // A connection that is open learns of it too.
    let mut client = place.server.connect();
    assert_eq!(ask(&mut client, "shop.example", "/cart").1, "c");
    let (_, said) = place.reload(&THREE.replace("path = '/cart'", "path = '/basket'"));
    assert!(said.starts_with("reloaded; settings changed: site cart (place)\n"), "{said}");
    assert_eq!(ask(&mut client, "shop.example", "/cart").1, "b");
    assert_eq!(ask(&mut client, "shop.example", "/basket").1, "c");
    let (_, said) = place.reload(&THREE.replace("module = 'c.wat'", "module = 'c.wat'\ndeadline = '9s'"));
    assert!(said.contains("\nneed a restart: site cart (deadline)\n"), "{said}");
    place.server.log_line(&["site removed", "site=\"new\""]);
}

#[test]
fn a_reload_changes_all_sites_or_none() {
    let place = start(THREE);
    fs::write(place.folder.file("bad.wat"), "(module)").unwrap();
    let changed = THREE.replace("'b.wat'", "'a.wat'");
    let (code, said) = place.reload(&changed.replace("'c.wat'", "'bad.wat'"));
    assert!(code == 1 && said.contains("site cart: version 2 was rejected in stage check"), "{said}");
    assert_eq!(ask_anew(&place, "shop.example", "/").1, "b");
    let (_, listed) = place.run(&["versions", "--site", "shop"]);
    assert!(listed.contains("the reload failed for another site"), "{listed}");
    let added = "[[site]]\nname = 'new'\npath = '/new'\nmodule = 'bad.wat'\n";
    let (code, said) = place.reload(&format!("{changed}{added}"));
    assert!(code == 1 && said.contains("site new: cannot serve "), "{said}");
    assert_eq!(ask_anew(&place, "shop.example", "/").1, "b");
    let (code, _) = place.reload(&changed);
    assert_eq!((code, ask_anew(&place, "shop.example", "/").1), (0, "a".into()));
}

#[test]
fn a_site_keeps_its_versions_in_a_folder_of_its_own() {
    let place = start(&format!("state-dir = 'state'\n{THREE}"));
    let module = place.folder.file("a.wat");
    assert_eq!(place.run(&["swap", module.to_str().unwrap(), "--site", "cart"]).0, 0);
    let place = place.restart();
    assert_eq!(ask_anew(&place, "shop.example", "/cart").1, "a");
    assert_eq!(ask_anew(&place, "shop.example", "/").1, "b");
    // A site that is removed and comes back has them too.
    let without = THREE.split("[[site]]\nname = 'cart'").next().unwrap().to_owned();
    assert_eq!(place.reload(&format!("state-dir = 'state'\n{without}")).0, 0);
    assert_eq!(ask_anew(&place, "shop.example", "/cart").1, "b");
    let (code, said) = place.reload(&format!("state-dir = 'state'\n{THREE}"));
    assert_eq!((code, ask_anew(&place, "shop.example", "/cart").1), (0, "a".into()), "{said}");
}

#[test]
fn mistakes_in_sites_are_named() {
    let folder = Folder::new();
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    let check = |text: &str| {
        fs::write(folder.file("host.toml"), text).unwrap();
        let mut command = host();
        output_of(command.args(["config", "check", "host.toml"]).current_dir(folder.file("")))
    };
    for (lines, said) in [
        (
            "name = 'a'\ndedline = '1s'",
            "host.toml:3: site a: there is no key `dedline` of a site; did you mean `deadline`?",
        ),
        (
            "name = 'a'\nlisen = 'x'",
            "host.toml:3: site a: there is no key `lisen` of a site; did you mean `listen`, a setting of the whole \
             server? It stands above the first [[site]]",
        ),
        (
            "name = 'a'\nsecrest = 'x'",
            "host.toml:3: site a: there is no key `secrest` of a site; did you mean `secret`?",
        ),
        (
            "name = 'a'\nhost = 'x'",
            "host.toml:3: site a: there is no key `host` of a site; did you mean `hosts`?",
        ),
        (
            "name = 'a'\nlisten = 'x'",
            "host.toml:3: site a: listen is a setting of the whole server; move it above the first [[site]]",
        ),
        (
            "name = 'a'\nmodul = 'a.wasm'",
            "host.toml:1: site a: there is no key `module`; expected the file of its handler, such as module = \"a.wasm\"",
        ),
        ("hosts = 'x'", "host.toml:1: a site lacks the key `name`; expected, for example, name = \"shop\""),
        ("name = 'A'", "host.toml:2: name: found `A`; expected at most 63 small letters"),
        (
            "name = 'default'",
            "host.toml:2: name: `default` is the site that the settings outside of [[site]] describe",
        ),
        (
            "name = 'a'\nhosts = 'x:80'",
            "host.toml:3: site a: hosts: found `x:80`; expected a name such as example.org, without a port",
        ),
        ("name = 'a'\npath = 'x'", "host.toml:3: site a: path: found `x`; expected a path such as /shop"),
        ("name = 'a'\nstrip-path = true", "host.toml:1: site a: strip-path: there is nothing to strip"),
        (
            "name = 'a'\ndeadline = '1'",
            "host.toml:3: site a: deadline: found `1`; expected a time with its unit",
        ),
        ("name = 'a'\nmodule = 'gone.wasm'", "host.toml:3: module: cannot read"),
        (
            "name = 'a'\nmodule = 'a.wat'\n[[site]]\nname = 'a'\nmodule = 'a.wat'",
            "host.toml:4: site a: the site of line 1 has this name too",
        ),
        (
            "name = 'a'\npath = '/x'\nmodule = 'a.wat'\n[[site]]\nname = 'b'\npath = '/x/'\nmodule = 'a.wat'",
            "host.toml:5: site b: the site of line 1 has all hosts with the path /x too",
        ),
        (
            "name = 'a'\nmodule = 'a.wat'\nmemory-max = '1GiB'",
            "host.toml:4: memory-max: found 1073741824 bytes; expected at most the 67108864 of the whole server",
        ),
    ] {
        let (code, found) = check(&format!("[[site]]\n{lines}\n"));
        assert!(code == 1 && found.contains(said), "{lines}:\n{found}");
    }
    let (_, said) = check("module = 'a.wasm'\n[[site]]\nname = 'a'\nmodule = 'a.wasm'\n");
    assert!(
        said.contains(
            "host.toml:2: site a: it has all hosts and paths, and so has the general module (host.toml:1)"
        ),
        "{said}"
    );
    let (_, said) = check("site = 1\n");
    assert!(
        said.contains("host.toml:1: site: found a whole number; expected tables, each headed by [[site]]"),
        "{said}"
    );
    let two = "[[site]]\nname = 'a'\nmodule = 'a.wat'\n[[site]]\nname = 'b'\nmodule = 'a.wat'\npath = '/b'\n";
    let (code, said) = check(two);
    assert_eq!((code, said.as_str()), (0, "host.toml is valid and sets 0 keys and has 2 sites\n"));
}
