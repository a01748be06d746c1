//! Configuration: the layers and their precedence, what is said about mistakes, and random
//! files, which never panic and come back from `host config show` as they were.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use host::cli::{config, serve};
use host::config::file::Read;
use host::config::setting::{self, Given, Settings};
use host::config::site::{self, SiteSource, Source};
use host::config::{file, foreign, schema};
use serde_json::Value;

use crate::harness::{Folder, Random, Server, host, output_of};

/// Number of random files. Each takes about a millisecond in the dev profile.
const FILES: usize = 3000;

/// Folder with a configuration file.
fn folder(text: &str) -> Folder {
    let folder = Folder::new();
    fs::write(folder.file("host.toml"), text).unwrap();
    folder
}

/// Returns the settings that are not defaults, as `KEY=VALUE from SOURCE`.
fn shown(folder: &Folder, variables: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let mut command = host();
    command.args(["config", "show", "--json"]).args(flags).current_dir(folder.file(""));
    let (status, printed) = output_of(command.envs(variables.iter().copied()));
    assert_eq!(status, 0, "{printed}");
    let all: Value = serde_json::from_str(&printed).unwrap();
    let set = all.as_array().unwrap().iter().filter(|entry| entry["source"] != "default");
    set.map(|entry| {
        let place = [&entry["variable"], &entry["line"], &entry["source"]];
        let place = place.into_iter().find(|place| !place.is_null()).unwrap();
        format!("{}={} from {place}", entry["key"].as_str().unwrap(), entry["value"]).replace('"', "")
    })
    .collect()
}

#[test]
fn a_flag_counts_before_the_environment_and_the_environment_before_the_file() {
    let folder =
        folder("deadline = '1s'\nqueue = 1\ninstances = 0x10\nprobe = ['GET /a', 'GET /b']\ndev = true\n");
    let variables = [("HOST_QUEUE", "2"), ("HOST_DEADLINE", "2s"), ("HOST_DEV", "false"), ("HOST_DRAIN", "")];
    assert_eq!(
        shown(&folder, &variables, &["--deadline", "3s"]),
        [
            "dev=false from HOST_DEV",
            "probe=[GET /a,GET /b] from 4",
            "instances=16 from 3",
            "queue=2 from HOST_QUEUE",
            "deadline=3s from command line",
        ]
    );
    // An address in brackets is no list.
    assert_eq!(shown(&folder, &[("HOST_LISTEN", "[::1]:0")], &[])[0], "listen=[[::1]:0] from HOST_LISTEN");
    // A list replaces that of a layer below, as any value does.
    let variables = [("HOST_PROBE", "[\"GET /c\", \"GET /d 404\"]")];
    assert!(shown(&folder, &variables, &[]).contains(&"probe=[GET /c,GET /d 404] from HOST_PROBE".into()));
    assert!(
        shown(&folder, &variables, &["--probe=GET /e"]).contains(&"probe=[GET /e] from command line".into())
    );
}

#[test]
fn a_flag_removes_what_it_excludes_from_the_layers_below() {
    let folder = folder("no-watch = true\nprobe = 'GET /a'\n");
    assert_eq!(
        shown(&folder, &[], &["--watch", "poll"]),
        ["watch=poll from command line", "probe=[GET /a] from 2"]
    );
    assert_eq!(
        shown(&folder, &[("HOST_NO_PROBE", "true")], &[]),
        ["no-watch=true from 1", "no-probe=true from HOST_NO_PROBE"]
    );
    // What is turned off excludes nothing.
    let variables = [("HOST_NO_PROBE", "false"), ("HOST_NO_WATCH", "0")];
    assert_eq!(
        shown(&folder, &variables, &[]),
        ["no-watch=false from HOST_NO_WATCH", "probe=[GET /a] from 2", "no-probe=false from HOST_NO_PROBE"]
    );
}

#[test]
fn the_file_is_the_one_named_or_the_one_here() {
    let folder = folder("queue = 1\n");
    fs::write(folder.file("other.toml"), "queue = 2\n").unwrap();
    let other = [("HOST_CONFIG", "other.toml")];
    for (variables, flags, expected) in [
        (&[][..], &[][..], &["queue=1 from 1"][..]),
        (&other, &[], &["queue=2 from 1"]),
        (&other, &["--config", "host.toml"], &["queue=1 from 1"]),
        (&[("HOST_CONFIG", "")], &[], &["queue=1 from 1"]),
        (&other, &["--no-config"], &[]),
        (&[], &["other.toml"], &["queue=2 from 1"]),
        (&other, &["host.toml"], &["queue=1 from 1"]),
    ] {
        assert_eq!(shown(&folder, variables, flags), expected, "{variables:?} {flags:?}");
    }
}

#[test]
fn a_server_starts_from_a_file_whose_paths_are_relative_to_it() {
    let folder = Folder::new();
    fs::create_dir(folder.file("site")).unwrap();
    fs::write(folder.file("site/a.wat"), crate::harness::modules::saying("configured")).unwrap();
    let text = "listen = ['127.0.0.1:0', 'unix:run.sock']\nmodule = 'a.wat'\ncontrol = 'control.sock'\nno-probe = true\n";
    fs::write(folder.file("site/here.toml"), text).unwrap();
    let mut command = host();
    command.args(["--config", "site/here.toml", "--control", "site/control.sock", "--log-level", "info"]);
    command.current_dir(folder.file("")).env("HOST_DEADLIN", "1s").env("HOST_QUEUE", "2");
    let mut server = Server::begin_as_it_is(command).until_ready();
    assert_eq!(server.connect().ask("GET", "/").text(), "configured");
    assert!(server.urls[1].ends_with("/site/run.sock"), "{:?}", server.urls);
    // As `host config check` counts them, although an environment and a command line have settings too.
    server.log_line(&["configuration read", "file=site/here.toml", "settings=4", "sites=0"]);
    server.log_line(&["HOST_DEADLIN is not used; did you mean HOST_DEADLINE?"]);
    // A command finds the server by the variable, too.
    let mut status = host();
    status.arg("status").env("HOST_CONTROL", folder.file("site/control.sock"));
    let (exit, printed) = output_of(&mut status);
    assert!(exit == 0 && printed.contains("site/a.wat"), "{printed}");
    server.stop();
}

/// Mistakes in a file: the file, and what is said about it.
#[rustfmt::skip]
const MISTAKES: [(&str, &[&str]); 39] = [
    ("dedline = '1s'\n", &["host.toml:1: there is no key `dedline`; did you mean `deadline`?"]),
    ("\nstate_dir = 'x'\n", &["host.toml:2: there is no key `state_dir`; did you mean `state-dir`?"]),
    ("zzz = 1\n", &["host.toml:1: there is no key `zzz`; expected the name of a flag without the leading --, such as body-max (host --help)"]),
    ("[[sites]]\nname = 'a'\n", &["host.toml:1: there is no key `sites`; did you mean `[[site]]`?"]),
    ("[var]\nA = 'a'\n[secret]\n", &[
        "host.toml:1: var: found a table; expected a string, or an array of strings; a table of these has the name `vars`",
        "host.toml:3: secret: found a table; expected a string, or an array of strings; a table of these has the name `secrets`",
    ]),
    ("[varz]\n", &["host.toml:1: there is no key `varz`; did you mean `vars`?"]),
    ("[secretes]\n", &["host.toml:1: there is no key `secretes`; did you mean `secrets`?"]),
    ("deadline = 250\n", &["host.toml:1: deadline: found 250; expected a time with its unit, such as \"250ms\""]),
    ("deadline = 0.5\n", &["host.toml:1: deadline: found 0.5; expected a time with its unit, such as \"250ms\""]),
    ("body-max = 1.5\n", &["host.toml:1: body-max: found 1.5; expected a size such as 65536, \"64KiB\" or \"1MiB\""]),
    ("connections = true\n", &["host.toml:1: connections: found true; expected a whole number, or \"auto\""]),
    ("rollout-percent = 10\n", &["host.toml:1: rollout-percent: found 10; expected a string, such as \"10%\""]),
    ("[limits]\nqueue = 1\n", &["host.toml:1: there is no table `limits`; expected keys outside of tables; there are the tables `[vars]`, `[secrets]` and `[[site]]`"]),
    ("tls-certificate = 'a.pem'\n", &["host.toml:1: there is no key `tls-certificate`; did you mean `tls-cert`?"]),
    ("ssl-certificate = 'a.pem'\n", &["host.toml:1: there is no key `ssl-certificate`; did you mean `tls-cert`?"]),
    ("http2 = true\n", &["host.toml:1: there is no key `http2`; did you mean `h2c` or `no-h2`? (over TLS it is on by default)"]),
    ("queue = 1\nlisten = localhost:6443\n", &["host.toml:2: string values must be quoted, expected literal string; a text stands between quotation marks: listen = \"localhost:6443\""]),
    ("h2c = \"true\"\n", &["host.toml:1: h2c: found a string; expected true or false without quotation marks: h2c = true"]),
    ("listen = ['localhost:1', 'localhost:1,plain']\n", &["host.toml:1: listen: found `localhost:1,plain` twice; expected each address once"]),
    ("admin-token = 'token'\n", &["host.toml:1: admin-token: cannot use the token file FOLDER/token (--admin-token): there is no such file; expected one with one line of at least 16 visible ASCII characters", "host.toml:1: admin-token: --admin-token needs an address; expected --admin HOST:PORT with it (see host --help)"]),
    ("listen = 'unix:a,tls'\n", &["host.toml:1: listen: found `unix:FOLDER/a,tls`; found the option `tls` behind the path; expected mode=0660, group=NAME or proxy; TLS is spoken at HOST:PORT only"]),
    ("queue = 0\nbody-max = '-1'\n", &[
        "host.toml:1: queue: found `0`; expected a whole number from 1 to 100000",
        "host.toml:2: body-max: found `-1`; expected a size such as 65536, 64KiB or 1MiB",
    ]),
    ("queue = 99999999999999999999\n", &["host.toml:1: queue: found 99999999999999999999; expected a number of at most 64 bits"]),
    ("queue = 1.5\n", &["host.toml:1: queue: found 1.5; expected a whole number"]),
    ("queue = [1]\n", &["host.toml:1: queue: found an array; expected a whole number"]),
    ("dev = 'yes'\n", &["host.toml:1: dev: found a string; expected true or false"]),
    ("fair-share = true\n", &["host.toml:1: fair-share: found true; expected one of: \"on\", \"off\""]),
    ("probe = [1979-05-27]\n", &["host.toml:1: probe: found a date or a time; expected a string, or an array of strings"]),
    ("control = 7\n", &["host.toml:1: control: found 7; expected a string"]),
    ("listen = 'unix:'\n", &["host.toml:1: listen: found `unix:`; the path of the socket is missing; expected for example unix:/run/host/http.sock"]),
    ("listen = \"a\\u001b[31m\\nb\"\n", &["host.toml:1: listen: found `a\\u{1b}[31m\\nb`; expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH; the port is missing"]),
    ("probe-file = '/dev/zero'\n", &["host.toml:1: probe-file: cannot read /dev/zero: it is not a regular file"]),
    ("no-probe = true\nprobe = 'GET /'\nno-watch = true\nwatch = 'poll'\n", &[
        "host.toml:2: probe and no-probe (line 1) exclude each other; leave one out",
        "host.toml:4: watch and no-watch (line 3) exclude each other; leave one out",
    ]),
    ("control = ''\n", &["host.toml:1: control: found an empty string; expected a value"]),
    ("watch = 'poll'\n\nno-watch = true\n", &["host.toml:3: no-watch and watch (line 1) exclude each other; leave one out"]),
    ("queue = 1\nqueue = 2\n", &["host.toml:2: duplicate key `queue`"]),
    ("queue = 1\nqueue\n", &["host.toml:2: key with no value, expected `=`"]),
    ("require-durable = true\n", &["host.toml:1: require-durable: --require-durable needs a state folder; expected --state-dir DIR with it (see host --help)"]),
    ("module = 'gone.wasm'\nlisten = 'nowhere'\n", &[
        "host.toml:2: listen: found `nowhere`; expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH; the port is missing",
        "host.toml:1: module: cannot read FOLDER/gone.wasm: there is no such file; expected a .wasm or .wat file (host new NAME begins a handler, and host dev NAME builds and serves it)",
    ]),
];

#[test]
fn every_mistake_in_a_file_is_told_with_its_line_its_key_and_what_is_expected() {
    for (text, expected) in MISTAKES {
        let folder = folder(text);
        let output = host().args(["config", "check"]).current_dir(folder.file("")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let place = fs::canonicalize(folder.file("")).unwrap();
        let said = said
            .replace(place.to_str().unwrap(), "FOLDER")
            .replace(folder.path("").trim_end_matches('/'), "FOLDER");
        let lines: Vec<_> = said.lines().collect();
        let expected: Vec<_> = expected.iter().map(|line| format!("error: {line}")).collect();
        assert_eq!(lines, expected, "{text}");
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
    let good = folder("queue = 1\n");
    let (status, printed) = output_of(host().args(["config", "check"]).current_dir(good.file("")));
    assert_eq!(status, 0, "{printed}");
    assert_eq!(printed, "host.toml is valid and sets 1 key\n");
    let place = folder("control = 'gone/control'\n");
    let (status, printed) = output_of(host().args(["config", "check"]).current_dir(place.file("")));
    assert!(status == 0 && printed.contains("warning: control: there is no folder "), "{printed}");
    // What can start and is probably not meant is told, too.
    let doubtful = folder("rollout = '10%'\nqueue = 1\n");
    let (status, printed) = output_of(host().args(["config", "check"]).current_dir(doubtful.file("")));
    assert_eq!(status, 0, "{printed}");
    let told = "host.toml is valid and sets 2 keys\nwarning: without a state folder (--state-dir), a restart forgets";
    assert!(printed.starts_with(told), "{printed}");
    let (status, named) = output_of(host().args(["config", "check", "--config"]).arg(good.file("host.toml")));
    assert_eq!((status, &*named), (0, &*format!("{} is valid and sets 1 key\n", good.path("host.toml"))));
}

#[test]
fn a_server_does_not_start_with_a_mistake_in_its_configuration() {
    let good = folder("queue = 1\n");
    let bad = folder("queue = 0\ndeadline = 1\n");
    let said = |folder: &Folder, variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = host();
        command.args(flags).envs(variables.iter().copied()).current_dir(folder.file(""));
        let output = command.output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(2), Vec::new()));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        said(&bad, &[("HOST_DEV", "yes")], &[]),
        "error: host.toml:1: queue: found `0`; expected a whole number from 1 to 100000\n\
         error: host.toml:2: deadline: found 1; expected a time with its unit, such as \"1ms\"\n\
         error: HOST_DEV: found `yes`; expected true or false\n"
    );
    let missing = "error: cannot read the configuration file gone.toml: there is no such file; expected a TOML file (--config, HOST_CONFIG)\n";
    assert_eq!(said(&good, &[], &["--config", "gone.toml"]), missing);
    assert_eq!(said(&good, &[("HOST_CONFIG", "gone.toml")], &[]), missing);
    fs::write(bad.file("host.toml"), b"queue = 1 # \xff").unwrap();
    assert_eq!(
        said(&bad, &[], &[]),
        "error: cannot read the configuration file host.toml: it is not UTF-8 from byte 12 on; expected a TOML file (--config, HOST_CONFIG)\n"
    );
    // What the file names is checked, too, and told as `host config check` tells it.
    let named = folder("\nmodule = 'gone.wasm'\n");
    assert!(said(&named, &[], &[]).starts_with("error: host.toml:2: module: cannot read "));
    assert!(
        said(&good, &[("HOST_LISTEN", "nowhere")], &[])
            .starts_with("error: HOST_LISTEN: listen: found `nowhere`; ")
    );
    fs::remove_file(bad.file("host.toml")).unwrap();
    fs::create_dir(bad.file("host.toml")).unwrap();
    assert_eq!(
        said(&bad, &[], &[]),
        "error: cannot read the configuration file host.toml: it is not a regular file; expected a TOML file (--config, HOST_CONFIG)\n"
    );
}

#[test]
fn what_is_shown_is_what_a_server_would_have_wherever_it_is_read() {
    let folder = folder("queue = 1\n");
    let show = |flags: &[&str]| {
        let mut command = host();
        command.args(["config", "show"]).args(flags).current_dir(folder.file(""));
        output_of(&mut command)
    };
    let (_, shown) = show(&["--control", "here/c.sock", "--probe-file", "p.http", "--no-watch", "m.wasm"]);
    let base = fs::canonicalize(folder.file("")).unwrap();
    for line in [
        format!("module = \"{}/m.wasm\"  # command line", base.display()),
        format!("control = \"{}/here/c.sock\"  # command line", base.display()),
        "# probe: none".into(),
        "# watch: none".into(),
        "queue = 1  # host.toml:1".into(),
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}:\n{shown}");
    }
    // A misspelt variable is told as a server tells it, behind the settings and in JSON too.
    for flags in [&["--no-config"][..], &["--json"]] {
        let output = host().args(["config", "show"]).args(flags).env("HOST_DEADLIN", "1s").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "warning: HOST_DEADLIN is not used; did you mean HOST_DEADLINE?\n");
    }
    let mut command = host();
    command.args(["config", "show", "--no-config"]).arg(OsStr::from_bytes(b"m\xff.wasm"));
    let (code, said) = output_of(&mut command);
    assert!(code == 1 && said.contains("module: `m\u{fffd}.wasm` is not UTF-8"), "{said}");
}

#[test]
fn paths_are_relative_to_a_folder_whose_name_is_not_utf_8() {
    let folder = Folder::new();
    let inner = folder.file("").join(OsStr::from_bytes(b"d\xff"));
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("m.wat"), crate::harness::modules::saying("there")).unwrap();
    fs::write(inner.join("host.toml"), "listen = '127.0.0.1:0'\nmodule = 'm.wat'\nno-control = true\n")
        .unwrap();
    let mut command = host();
    command.arg("--config").arg(inner.join("host.toml"));
    let server = Server::begin_as_it_is(command).until_ready();
    assert_eq!(server.connect().ask("GET", "/").text(), "there");
}

#[test]
fn the_schema_has_every_key_and_its_values() {
    let schema = schema::schema(&serve::definition());
    let command = serve::definition();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), setting::flags(&command).count() + 3);
    let of_site = properties["site"]["items"]["properties"].as_object().unwrap();
    assert_eq!(of_site.len(), site::FLAGS.len() + site::KEYS.len() + 2);
    for flag in setting::flags(&command) {
        assert!(properties[setting::key(flag)]["description"].as_str().unwrap().len() > 10);
    }
    assert_eq!(properties["fair-share"]["enum"], serde_json::json!(["on", "off"]));
    assert_eq!(properties["queue"]["anyOf"][0]["type"], "integer");
    assert_eq!(properties["dev"]["type"], "boolean");
    assert_eq!(properties["probe"]["anyOf"][1]["items"]["type"], "string");
    let (_, printed) = output_of(host().args(["config", "schema"]));
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), schema);
}

/// Reads a file, and checks that what it sets comes back from `host config show`.
fn check(text: &str) -> bool {
    let command = serve::definition();
    let read = |text: &str| file::parse(&command, text, Path::new("host.toml"), Path::new("/base"));
    let given = |settings: &Settings| -> Vec<(String, Given)> {
        settings.iter().map(|(id, setting)| (id.clone(), setting.given.clone())).collect()
    };
    match read(text) {
        Ok(Read { settings, sites }) => {
            let source = Source { settings, sites, ..Source::default() };
            let shown = config::text(&source).unwrap();
            let again = read(&shown).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{shown}\n{text}"));
            assert_eq!(given(&again.settings), given(&source.settings), "{shown}\n{text}");
            let site = |site: &SiteSource| (site.name.clone(), site.place.clone(), given(&site.settings));
            let (again, sites) = (again.sites.iter().map(site), source.sites.iter().map(site));
            assert_eq!(again.collect::<Vec<_>>(), sites.collect::<Vec<_>>(), "{shown}\n{text}");
            true
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty() && mistakes.iter().all(|line| !line.contains('\n')), "{mistakes:?}");
            false
        }
    }
}

#[test]
fn random_files_are_refused_or_come_back_as_they_were() {
    let command = serve::definition();
    let keys: Vec<_> = setting::flags(&command).map(setting::key).collect();
    // The defaults, which `host config show` prints as comments.
    let defaults = config::text(&Source::default()).unwrap();
    let defaults: Vec<_> = defaults.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let defaults: Vec<_> = defaults.into_iter().filter(|line| line.contains(" = ")).collect();
    let mut random = Random::new(0x5eed);
    let good = (0..FILES).filter(|_| check(&random_file(&mut random, &keys, &defaults))).count();
    assert!(good > FILES / 10 && good < FILES * 9 / 10, "{good} of {FILES} were read");
}

/// Values of keys: most are right for some key.
#[rustfmt::skip]
const VALUES: [&str; 32] = [
    "true", "false", "1", "64", "0", "-1", "0x10", "1_000", "99999999999999999999", "1.5", "inf", "1979-05-27",
    "'1s'", "'10min'", "'8KiB'", "'auto'", "'on'", "'poll'", "'json'", "'info,request=off'", "'a.wasm'", "''",
    "'GET /'", "['GET /', \"GET /\\u00e9 404\"]", "'10.0.0.0/8'", "'unix:\\x'", "\"unix:a\\tb\\u007f\"",
    "'''a\nb'''", "\"\u{1f600}\"", "[[1], {}]", "{ a = 1 }", "\"\\u0000\"",
];

/// Lines of a table of a site: most are right.
#[rustfmt::skip]
const SITE_LINES: [&str; 20] = [
    "vars = { A = '1', B = \"\\u00e9=\\n\" }", "secrets = { C = { env = 'D' }, E = { file = 'f' } }", "vars = { '1' = 2 }",
    "secrets.G = { file = '/g=file:h' }",
    "name = 'shop'", "name = 'blog'", "name = 'Shop'", "name = 1", "hosts = 'a.example'", "hosts = ['*.a.example', 'b']",
    "hosts = []", "hosts = '*'", "path = '/a'", "path = '/a/b/'", "path = 'a'", "strip-path = true", "deadline = '1s'",
    "module = \"m\\u00e9.wasm\"", "listen = 'localhost:1'", "dedline = 1",
];

fn random_site(random: &mut Random) -> String {
    let mut text = ["[[site]]\n", "[[site]]\nname = 'x'\nmodule = 'm'\n", "[site]\n"]
        [random.below(21).div_ceil(10)]
    .to_owned();
    let (first, count) = (random.below(SITE_LINES.len()), 1 + random.below(3));
    for line in SITE_LINES.iter().cycle().skip(first).take(count) {
        text += line;
        text += "\n";
    }
    text
}

fn random_file(random: &mut Random, keys: &[&str], lines: &[&str]) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        if random.below(5) > 0 {
            text += lines[random.below(lines.len())];
            text += "\n";
            continue;
        }
        text += keys[random.below(keys.len())];
        text += [" = ", "=", " ", ".x = "][random.below(40).saturating_sub(36)];
        text += VALUES[random.below(VALUES.len())];
        text += ["\n", "\n# \u{e9}\n", "\r\n", ""][random.below(20).saturating_sub(16)];
    }
    for _ in 0..random.below(6).saturating_sub(3) {
        text += &random_site(random);
    }
    if random.below(4) == 0 {
        let mut bytes = text.into_bytes();
        let at = random.below(bytes.len());
        bytes[at] = b"\0\n\"'[]{}=#.\\a\xff\x7f"[random.below(15)];
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

#[test]
fn what_is_suggested_for_names_of_other_programs_exists() {
    let command = serve::definition();
    for (names, of) in foreign::FOREIGN {
        assert!(names.iter().all(|name| setting::find(&command, name).is_none()), "{names:?}");
        assert!(of.flags.iter().all(|flag| setting::find(&command, flag).is_some()), "{:?}", of.flags);
    }
    let named = |flag: &str| format!("--{flag}");
    assert_eq!(foreign::instead("--cert", named).unwrap(), "did you mean --tls-cert?");
    assert!(foreign::instead("--user", named).unwrap().contains("User="));
    assert_eq!(foreign::instead("--queue", named), None);
}
