//! Values for handlers: variables and secrets of the configuration reach the module, and
//! secrets come out nowhere else.

use std::fs;

use crate::harness::{
    Configured, Deployment, Folder, TextFile, fixture, fixture_text, host, output_of, wait_until,
};

const SECRET: &str = "s3cr3t-text";

/// Starts a server with a configuration file. Its module answers with its values.
fn start(lines: &str) -> Configured {
    let folder = Folder::new();
    fs::copy(fixture("configures.wat"), folder.file("values.wat")).unwrap();
    fs::write(folder.file("key"), format!("{SECRET}\n")).unwrap();
    let mut command = host();
    command.env("THE_KEY", "from-the-environment");
    Configured::spawn(command, folder, lines)
}

fn says(place: &Configured, target: &str) -> String {
    place.server.connect().ask("GET", target).text().replace('\0', ";")
}

#[test]
fn each_site_gets_its_own_values() {
    let place = start(
        "module = 'values.wat'\nvars = { A = 'general' }\nsecrets = { B = { file = 'key' } }\n\
         [[site]]\nname = 'one'\npath = '/a'\nmodule = 'values.wat'\n[site.vars]\nA = '\u{fc}=1'\n\
         [site.secrets]\nC = { env = 'THE_KEY' }\n\
         [[site]]\nname = 'two'\npath = '/b'\nmodule = 'values.wat'\n",
    );
    assert_eq!(says(&place, "/"), format!("1A;general;B;{SECRET};"));
    assert_eq!(says(&place, "/a"), "1A;\u{fc}=1;C;from-the-environment;");
    assert_eq!(says(&place, "/b"), "1");
}

#[test]
fn other_values_are_a_new_version_of_the_same_bytes() {
    let lines = |value: &str| format!("module = 'values.wat'\nvars.A = '{value}'\n");
    let mut place = start(&lines("x"));
    assert_eq!(says(&place, "/"), "1A;x;");
    let (code, said) = place.reload(&lines("y"));
    let expected = "reloaded; settings changed: var\nserving version 2 ";
    assert!(code == 0 && said.starts_with(expected), "{said}");
    assert_eq!(says(&place, "/"), "1A;y;");
    let (_, said) = place.reload(&lines("y"));
    assert!(said.contains("unchanged: version 2"), "{said}");
    // The module traps when the first name begins with F.
    let (code, said) = place.reload("module = 'values.wat'\nvars.F = ''\n");
    assert!(code == 1 && said.contains("rejected in stage start"), "{said}");
    assert_eq!(says(&place, "/"), "1A;y;");
    assert_eq!(place.run(&["rollback"]).0, 0);
    assert_eq!(says(&place, "/"), "1A;x;");
    // The optimised code has the values too.
    wait_until("optimised", || {
        place.server.log_line_now(&["optimised"]);
        says(&place, "/") == "1A;x;"
    });
    // A new value of a secret is noticed although the configuration is the same.
    let lines = "module = 'values.wat'\nsecrets.B = { file = 'key' }\n";
    assert_eq!(place.reload(lines).0, 0);
    fs::write(place.folder.file("key"), "another").unwrap();
    let (_, said) = place.reload(lines);
    assert!(said.starts_with("reloaded; settings changed: none\nserving version "), "{said}");
    assert_eq!(says(&place, "/"), "1B;another;");
    fs::remove_file(place.folder.file("key")).unwrap();
    let (code, said) = place.reload(lines);
    assert!(code == 1 && said.contains("cannot read the secret B from the file "), "{said}");
    assert_eq!(says(&place, "/"), "1B;another;");
}

#[test]
fn a_module_that_takes_no_values_is_rejected_if_there_are_any() {
    let place = Deployment::of(fixture_text("configures.wat"));
    let _server = place.start(&["--var", "A=1"]);
    let said = place.swap(crate::harness::modules::saying("plain"));
    assert!(said.contains("rejected version 2 in stage check: there are values for the module, but it exports no function `configure`"), "{said}");
    assert!(said.contains("remedy: in a Rust crate, write export!(answer, values)"), "{said}");
}

#[test]
fn a_secret_comes_out_only_by_the_handler() {
    let lines = "module = 'values.wat'\nrecord = 'records'\n[secrets]\nKEY = { file = 'key' }\n";
    let mut place = start(lines);
    assert_eq!(says(&place, "/"), format!("1KEY;{SECRET};"));
    assert!(says(&place, "/log").contains(SECRET));
    place.server.log_line(&["KEY", "[secret KEY]", "handler"]);
    // The request has the secret too, in its target, a field and its body.
    let mut client = place.server.connect();
    let length = SECRET.len() + 2;
    client.send(format!(
        "GET /trap?{SECRET} HTTP/1.1\r\nhost: a\r\nx-key: {SECRET}\r\ncontent-length: {length}\r\n\r\n<{SECRET}>"
    ));
    assert_eq!(client.reply_to("GET").status, 500);
    let trap = place.server.log_line(&["fault=\"trap\""]);
    assert!(trap.contains("target=\"/trap?[secret KEY]\"") && !trap.contains(SECRET), "{trap}");
    let mut recorded = Vec::new();
    wait_until("recorded", || {
        let files = fs::read_dir(place.folder.file("records")).into_iter().flatten().flatten();
        recorded =
            files.map(|file| fs::read(file.path()).unwrap()).filter(|bytes| !bytes.is_empty()).collect();
        !recorded.is_empty()
    });
    let recorded = String::from_utf8_lossy(&recorded[0]).into_owned();
    let blank = "*".repeat(SECRET.len());
    assert!(!recorded.contains(SECRET), "{recorded}");
    assert!(recorded.contains(&format!("GET /trap?{blank} HTTP/1.1")), "{recorded}");
    assert!(
        recorded.contains(&format!("x-key: {blank}\r\n")) && recorded.contains(&format!("<{blank}>")),
        "{recorded}"
    );
    let (_, faults) = output_of(
        std::process::Command::new("curl")
            .args(["-s", "--unix-socket"])
            .arg(place.folder.file("control"))
            .arg("http://host/v1/faults"),
    );
    assert!(faults.contains("[secret KEY]") && !faults.contains(SECRET), "{faults}");
    // A request that is refused before the handler is called.
    let mut client = place.server.connect();
    client.send(format!("POST /?{SECRET} HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n"));
    assert_eq!(client.reply_to("POST").status, 413);
    let refused = place.server.log_line(&["status=413"]);
    assert!(!refused.contains(SECRET), "{refused}");
    // A probe whose response has the secret.
    fs::write(place.folder.file("probe.http"), "GET /\n> body: wrong\n").unwrap();
    let (code, said) = place.reload(&format!("probe-file = 'probe.http'\n{lines}"));
    assert!(code == 1 && said.contains("not answered as expected; the response has a secret"), "{said}");
    assert!(!said.contains("s3cr"), "{said}");
    let (_, settings) = place.run(&["config", "show"]);
    assert!(settings.contains("secret = [\"KEY=file:") && !settings.contains(SECRET), "{settings}");
}

#[test]
fn tools_give_values_too() {
    let module = fixture("configures.wat");
    let run = |line: &[&str]| output_of(host().args(line).env("THE_KEY", "abcd"));
    let (code, said) = run(&["call", &module, "/", "--var", "A=1", "--secret", "B=env:THE_KEY"]);
    assert!(code == 0 && said.replace('\0', ";").starts_with("1A;1;B;abcd;"), "{said}");
    assert_eq!(run(&["check", &module, "--var", "A=1"]).0, 0);
    let (code, said) = run(&["check", &module, "--var", "F="]);
    assert!(code == 1 && said.contains("does not start"), "{said}");
    let requests = TextFile::new("GET /\n");
    assert_eq!(run(&["test", &module, requests.path(), "--var", "A=1"]).0, 0);
    let (code, said) = run(&["call", &fixture("works.wat"), "/", "--var", "A=1"]);
    assert!(code == 1 && said.contains("exports no function `configure`"), "{said}");
}

#[test]
fn a_module_that_lacks_its_values_is_said_to_be_given_none() {
    let no_name = "(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x46))";
    let lacking = "(if (i32.eqz (local.get $length))";
    let text = fixture_text("configures.wat");
    assert!(text.contains(no_name));
    let (module, requests) = (TextFile::new(text.replace(no_name, lacking)), TextFile::new("GET /\n"));
    let module = module.path();
    let start = ["--listen", "127.0.0.1:0", "--no-control"];
    let remedy = "`configure` at that place, or give it its values (--var, --secret)";
    for line in [
        &["check", module][..],
        &["call", module, "/"],
        &["test", module, requests.path()],
        &[&[module], &start[..]].concat(),
    ] {
        let (code, said) = output_of(host().args(line));
        assert!(code == 1 && said.contains(remedy), "{line:?}: {said}");
    }
    let (code, said) = output_of(host().args(["call", &fixture("configures.wat"), "/", "--var", "F=1"]));
    assert!(code == 1 && said.contains("`configure` at that place)") && !said.contains("--var"), "{said}");
    let no_handle = TextFile::new(text.replace("\"handle\"", "\"handel\""));
    let (code, said) = output_of(host().args(["call", no_handle.path(), "/"]));
    assert!(code == 1 && said.contains(" (remedy: write handler_sdk::export!(answer) "), "{said}");
}

#[test]
fn mistakes_in_values_are_named() {
    let folder = Folder::new();
    let check = |lines: &str| {
        fs::write(folder.file("host.toml"), lines).unwrap();
        let mut command = host();
        output_of(command.args(["config", "check", "host.toml"]).current_dir(folder.file(""))).1
    };
    for (lines, said) in [
        (
            "vars = 1",
            "host.toml:1: vars: found a whole number; expected a table of lines such as GREETING = \"good day\"",
        ),
        ("vars.A = 1", "host.toml:1: vars: A: found a whole number; expected a line such as GREETING"),
        (
            "secrets.A = 'x'",
            "host.toml:1: secrets: A: found a string; expected a line such as KEY = { env = \"VARIABLE\" }",
        ),
        ("secrets.A = { enw = 'x' }", "host.toml:1: secrets: A: found a table; expected a line such as KEY"),
        ("vars.A = '1'\nvar = 'B=2'", "host.toml:2: var: there are values by a table already; leave one out"),
        ("var = 'B'", "host.toml:1: var: found `B`; expected NAME=VALUE"),
        (
            "secret = 'B=x'",
            "host.toml:1: secret: found `(not shown)`; expected NAME=env:VARIABLE or NAME=file:PATH",
        ),
        ("vars.1 = 'x'", "a value has the name `1`; expected a letter or `_`"),
        (
            "secrets.A = { env = 'NO_SUCH_VARIABLE' }",
            "cannot read the secret A from the environment variable NO_SUCH_VARIABLE",
        ),
        (
            "[[site]]\nname = 's'\nmodule = 's.wasm'\n[site.secrets]\nA = { file = 'gone' }",
            "cannot read the secret A from the file ",
        ),
    ] {
        let found = check(lines);
        assert!(found.contains(said), "{lines}:\n{found}");
    }
}
