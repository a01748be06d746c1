//! The program prints what the README and the guide for authors show.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::modules::saying;
use crate::harness::{Deployment, Folder, Server, TextFile, host, output_of};
use crate::repository::root;
use crate::steering::link_or_copy;

/// Returns the output that a page shows below a command, up to the next command or the end
/// of the block.
fn shown(page: &str, command: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let start = text.find(&format!("$ {command}\n")).unwrap_or_else(|| panic!("{page} lacks `{command}`"));
    let lines = text[start..].lines().skip(1).take_while(|line| !line.starts_with("$ ") && *line != "```");
    lines.map(|line| format!("{line}\n")).collect()
}

/// Replaces each number and hash in a text by `#`, because they differ between runs.
fn masked(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words
        .map(|word| {
            let core = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_hash = core.len() == 64 && core.chars().all(|c| c.is_ascii_hexdigit());
            let is_number = core.chars().all(|c| c.is_ascii_digit() || c == '.') && !core.is_empty();
            if is_hash || is_number { word.replacen(core, "#", 1) } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn a_swap_and_a_rollback_print_what_the_readme_shows() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let module = readme.split("```wat\n").nth(1).unwrap().split("```").next().unwrap();
    let place = Deployment::new();
    let server = place.start(&[]);
    // As the page has done, so that the swap has a request to try.
    let reply = server.connect().ask("GET", "/route");
    let changing = |name: &str| ["x-request-id", "date"].contains(&name);
    let line = |name: &str, value: &str| match changing(name) {
        true => format!("{name}\n"),
        false => format!("{name}: {value}\n"),
    };
    let head: String = reply.fields.iter().map(|(name, value)| line(name, value)).collect();
    let answer = format!("HTTP/1.1 {} {}\n{head}\n{}\n", reply.status, reply.reason, reply.text());
    let page = shown("README.md", "curl -i localhost:4444/route");
    let page: String = page
        .lines()
        .map(|text| text.split_once(": ").filter(|(name, _)| changing(name)).map_or(text, |(name, _)| name))
        .map(|text| format!("{text}\n"))
        .collect();
    assert_eq!(answer, page);
    // Not masked, because the hash of this module is the same everywhere.
    assert_eq!(place.swap(module), shown("README.md", "cargo run -q -p host -- swap hello.wat"));
    assert_eq!(server.connect().ask("GET", "/").text(), shown("README.md", "curl localhost:4444"));
    assert_eq!(place.swap("(module)\n"), shown("README.md", "cargo run -q -p host -- swap bad.wat"));
    let rollback = shown("README.md", "cargo run -q -p host -- rollback");
    assert_eq!(masked(&place.tell(&["rollback"])), masked(&rollback));
}

/// Replaces what differs between runs and machines by `#`: times, sizes, the ids of requests, their
/// targets in a verdict, and the version of curl. Leaves other numbers, and hashes.
fn settled(text: &str) -> String {
    let ends = [' ', '\n', ',', ')', '"', ';'];
    let words: Vec<&str> = text.split_inclusive(ends).collect();
    let core = |index: usize| words.get(index).map_or("", |word| word.trim_end_matches(ends));
    let settle = |(index, word): (usize, &&str)| {
        let found = core(index);
        let is_hex = |text: &str| text.len() == 16 && text.chars().all(|c| c.is_ascii_hexdigit());
        let is_id = found.rsplit_once('-').is_some_and(|(_, hash)| is_hex(hash));
        let is_time = found.len() == "2026-11-27T16:06:08Z".len() && found.ends_with('Z');
        let is_size = ["B", "KiB", "ms", "s"].contains(&core(index + 1))
            || index.checked_sub(1).is_some_and(|before| core(before) == "bytes") && found.starts_with(':');
        let is_latest = index.checked_sub(3).is_some_and(|before| core(before) == "latest");
        let is_changing = is_id || is_time || is_size || is_latest || found.starts_with("curl/");
        if is_changing { word.replacen(found, "#", 1) } else { (*word).to_owned() }
    };
    words.iter().enumerate().map(settle).collect()
}

#[test]
fn candidates_are_proved_as_the_page_shows() {
    const ADDRESS: &str = "localhost:4444";
    const SOCKET: &str = "/run/user/1000/host-4444.sock";
    const REPORTS_MAX: usize = 1000;
    // The second page goes on with the server of the first.
    let read = |page| fs::read_to_string(root().join(page)).unwrap();
    let page = ["docs/rollouts.md", "docs/proof.md"].map(read).join("\n");
    let folder = Folder::new();
    let module = page.split("```wat\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.file("shop.wat"), module).unwrap();
    let socket = folder.path("control.sock");

    let blocks = page.split("```console\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let steps = blocks.flat_map(|block| block.trim_start_matches("$ ").split("\n$ "));
    let (mut server, mut ran) = (None::<Server>, 0);
    for step in steps {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        if command.starts_with("cargo ") || command.starts_with("alias ") {
            continue;
        }
        if command == "host" {
            // The one before has to end first, because both use one socket.
            drop(server.take());
            let mut begun = host();
            begun.current_dir(folder.file(""));
            begun.env("HOST_LISTEN", "127.0.0.1:0").env("HOST_CONTROL", &socket);
            server = Some(Server::begin_as_it_is(begun).until_ready());
            continue;
        }
        let address = server.as_ref().map_or(ADDRESS.into(), |server| server.addresses[0].to_string());
        let script = command.replace(ADDRESS, &address).replace(SOCKET, &socket);
        let mut shell = Command::new("sh");
        // The program by its name, as the alias has it.
        shell.args(["-c", &format!("host() {{ \"$HOST\" \"$@\"; }}\n{script}")]);
        shell.current_dir(folder.file("")).env("HOST", host().get_program()).env("HOST_CONTROL", &socket);
        let expected = settled(expected.trim_end());
        let mut print = || settled(output_of(&mut shell).1.replace(&address, ADDRESS).trim_end());
        // Requests run again in the background.
        let is_report = command.starts_with("host rollout status");
        let tries = if is_report { REPORTS_MAX } else { 1 };
        let mut printed = print();
        for _ in 1..tries {
            if printed == expected {
                break;
            }
            printed = print();
        }
        assert_eq!(printed, expected, "{command}");
        ran += 1;
    }
    assert!(ran > 15, "{ran}");
}

#[test]
fn the_tools_print_what_the_guide_shows() {
    let guide = "docs/handlers.md";
    let folder = Folder::new();
    let (_, made) = output_of(host().args(["new", "greeter"]).current_dir(folder.file("")));
    assert_eq!(made, shown(guide, "host new greeter"));

    let bad = TextFile::new("(module)\n");
    let path = bad.path();
    let (_, checked) = output_of(host().args(["check", path]));
    let expected = shown(guide, "echo '(module)' > bad.wat; host check bad.wat");
    assert_eq!(checked.replace(path, "bad.wat"), expected);

    let (_, called) =
        output_of(host().args(["call", "tests/fixtures/traps.wat", "/boom"]).current_dir(root()));
    assert_eq!(masked(&called), masked(&shown(guide, "host call tests/fixtures/traps.wat /boom")));
}

#[test]
fn the_module_of_the_guide_is_replayed_as_the_guide_shows() {
    let page = "docs/handlers.md";
    let guide = fs::read_to_string(root().join(page)).unwrap();
    let traps = guide.split("```wat\n").nth(1).unwrap().split("```").next().unwrap();
    let mended = traps.lines().filter(|line| !line.contains("if") && !line.contains("then"));
    let folder = Folder::new();
    fs::write(folder.file("traps.wat"), traps).unwrap();
    fs::write(folder.file("mended.wat"), mended.collect::<Vec<_>>().join("\n")).unwrap();

    let server = Server::with(&[folder.path("traps.wat"), "--record".into(), folder.path("faults")]);
    let status = server.connect().ask("GET", "/boom?n=1").status;
    assert!(
        status == 500
            && shown(page, "curl -s -o /dev/null -w '%{http_code}\\n' 'localhost:4444/boom?n=1'") == "500\n"
    );
    server.stop();
    let unnamed = |text: &str| {
        let (start, rest) = text.split_once("faults/").unwrap();
        format!("{start}{}", rest.split_once(".fault.http").unwrap().1)
    };
    for command in [
        "replay faults --module traps.wat --against mended.wat",
        "replay faults --module mended.wat --expect-fixed",
    ] {
        let (_, printed) = output_of(host().args(command.split(' ')).current_dir(folder.file("")));
        assert_eq!(unnamed(&printed), unnamed(&shown(page, &format!("host {command}"))));
    }
}

/// Runs the server and the commands as two users of one group, which only root can do.
#[test]
fn a_user_of_the_group_deploys_as_the_page_shows() {
    const SERVER: u32 = 64_001;
    const USER: u32 = 64_002;
    const GROUP: u32 = 64_003;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("host-deploy-{}", std::process::id()));
    let run = folder.join("run");
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&run, Some(SERVER), Some(GROUP)).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o750)).unwrap();
    let program = folder.join("host");
    link_or_copy(host().get_program().as_ref(), &program);
    for (name, module) in
        [("shop", saying("shop")), ("shop2", saying("shop2")), ("broken", "(module)".into())]
    {
        fs::write(folder.join(format!("{name}.wasm")), wat::parse_str(module).unwrap()).unwrap();
    }
    let control = run.join("control");
    let control = control.to_str().unwrap();
    let mut server = Command::new(&program);
    server.current_dir(&folder).uid(SERVER).gid(GROUP);
    let group = GROUP.to_string();
    let mut server = Server::spawn(server, &["--control", control, "--control-group", &group, "shop.wasm"]);
    let page = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let section = page.split("### A user who deploys").nth(1).unwrap();
    let block = section.split("```console\n$ ").nth(1).unwrap().split("```").next().unwrap();
    for step in block.split("\n$ ") {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        let script = command.replace("/run/host-wasm/control", control);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("host() {{ \"$HOST\" \"$@\"; }}\n{script}")]);
        shell.current_dir(&folder).env("HOST", &program).env("HOST_CONTROL", control).uid(USER).gid(GROUP);
        assert_eq!(output_of(&mut shell).1.trim_end(), expected.trim_end(), "{command}");
    }
    server.log_line(&["rolled back", &format!("by=\"uid {USER}, pid ")]);
    server.stop();
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_configuration_is_checked_and_reloaded_as_the_page_shows() {
    let page = "docs/operating.md";
    let folder = Folder::new();
    let write = |text: &str| fs::write(folder.file("host.toml"), text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = host();
        command.args(arguments).current_dir(folder.file("")).env("HOST_CONTROL", folder.file("control.sock"));
        let output = command.output().unwrap();
        String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
    };
    write("listen = '127.0.0.1:0'\nmodul = 'a.wat'\n\nbody-max = '64 KByte'\nfair-share = true\n");
    assert_eq!(run(&["config", "check"]), shown(page, "host config check"));

    let example = fs::read_to_string(root().join(page)).unwrap();
    let example = example.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let module = wat::parse_str(saying("hi")).unwrap();
    fs::write(folder.file("greeter.wasm"), module).unwrap();
    write(example);
    assert_eq!(run(&["config", "check"]), "host.toml is valid and sets 8 keys\n");

    let second = fs::read_to_string(root().join(page)).unwrap();
    let second = second.split("```toml\n").nth(2).unwrap().split("```").next().unwrap();
    for name in ["shop", "blog", "shop2", "blog2"] {
        let module = wat::parse_str(saying(name)).unwrap();
        fs::write(folder.file(&format!("{name}.wasm")), module).unwrap();
    }
    write(&second.replace("127.0.0.1:8080", "127.0.0.1:0"));
    let pages = fs::read_to_string(root().join(page)).unwrap();
    let sites = pages.split("### Sites").nth(1).unwrap().split("### Values").next().unwrap();
    let printed = |command: &str| {
        let shown = sites.split(&format!("$ {command}\n")).nth(1).unwrap();
        let lines = shown.lines().take_while(|line| !line.starts_with("$ ") && *line != "```");
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(run(&["config", "check"]), printed("host config check"));
    {
        let mut command = host();
        command.current_dir(folder.file(""));
        let _server = Server::begin_as_it_is(command).until_ready();
        for command in ["swap --site shop shop2.wasm", "versions --site nope"] {
            let words: Vec<_> = command.split(' ').collect();
            assert_eq!(run(&words), printed(&format!("host {command}")));
        }
        let curl = sites.lines().find(|line| line.starts_with("$ curl")).unwrap();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&curl[2..]).current_dir(folder.file(""));
        assert_eq!(output_of(&mut shell), (0, printed(&curl[2..])));
    }

    let start = "listen = '127.0.0.1:0'\ncontrol = 'control.sock'\n";
    write(start);
    let mut command = host();
    command.current_dir(folder.file(""));
    let _server = Server::begin_as_it_is(command).until_ready();
    write(&format!("{start}queue = 0\n"));
    assert_eq!(run(&["reload"]), shown(page, "host reload"));
    write(&format!("{start}queue = 1\nbody-max = '64KiB'\nmodule = 'greeter.wasm'\n"));
    let text = fs::read_to_string(root().join(page)).unwrap();
    let second = text.split("$ host reload\n").nth(2).unwrap().split("```").next().unwrap();
    assert_eq!(masked(&run(&["reload"])), masked(second));
    // The API, by the paths and bodies that the page shows for curl.
    let mut rollback = host();
    rollback.arg("rollback").env("HOST_CONTROL", folder.file("control.sock"));
    assert_eq!(output_of(&mut rollback).0, 0);
    let replies = text.split("## API").nth(1).unwrap();
    let shown_replies: Vec<_> = replies.lines().filter(|line| line.starts_with('{')).collect();
    let ask = |line: &str, fields: &str, body: &[u8]| {
        let mut stream = UnixStream::connect(folder.file("control.sock")).unwrap();
        let head =
            format!("{line} HTTP/1.1\r\nhost: host\r\nconnection: close\r\nx-host-admin: 1\r\n{fields}");
        stream.write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split("\r\n\r\n").nth(1).unwrap().trim_end().to_owned()
    };
    let other = wat::parse_str(saying("other")).unwrap();
    for (reply, shown) in [
        ask("GET /v1/log-level", "", b""),
        ask("POST /v1/versions?name=greeter.wasm", "if-match: \"1\"\r\n", &other),
        ask("POST /v1/rollback", "if-match: \"1\"\r\n", b""),
    ]
    .iter()
    .zip(shown_replies)
    {
        assert_eq!(masked(reply), masked(shown));
    }
}

#[test]
fn a_day_of_an_operator_is_as_the_page_shows() {
    const ADDRESSES: [&str; 2] = ["127.0.0.1:8080", "127.0.0.1:9444"];
    /// The log is written in the background.
    const TRIES: usize = 1000;
    let page = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let day = page.split("### A day\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let folder = Folder::new();
    for name in ["shop", "shop2"] {
        fs::write(folder.file(&format!("{name}.wasm")), wat::parse_str(saying(name)).unwrap()).unwrap();
    }
    let config = day.split("```ini\n").nth(1).unwrap().split("```").next().unwrap();
    let config =
        ADDRESSES.iter().fold(config.to_owned(), |text, address| text.replace(address, "127.0.0.1:0"));
    fs::write(folder.file("host.toml"), config).unwrap();
    fs::write(folder.file("token"), "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(folder.file("token"), fs::Permissions::from_mode(0o600)).unwrap();

    let mut server = None::<Server>;
    let mut admin = String::new();
    let block = day.split("```console\n$ ").nth(1).unwrap().split("\n```").next().unwrap();
    for step in block.split("\n$ ") {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        if command.starts_with("export ") {
            continue;
        }
        if command.starts_with("host >") {
            let mut begun = host();
            begun.current_dir(folder.file(""));
            server = Some(Server::begin_as_it_is(begun).until_ready());
            let log = fs::read_to_string(folder.file("host.log")).unwrap();
            admin = log.split_once("API: http://").unwrap().1.lines().next().unwrap().to_owned();
            continue;
        }
        let http = server.as_ref().unwrap().addresses[0].to_string();
        let script = command.replace(ADDRESSES[0], &http).replace(ADDRESSES[1], &admin);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("host() {{ \"$HOST\" \"$@\"; }}\n{script}")]).current_dir(folder.file(""));
        shell.env("HOST", host().get_program()).env("HOST_CONTROL", folder.file("control.sock"));
        let mut print = || masked(output_of(&mut shell).1.trim_end());
        let printed = (0..TRIES)
            .map(|_| print())
            .find(|printed| *printed == masked(expected) || !command.starts_with("grep"));
        assert_eq!(printed.as_deref(), Some(&*masked(expected)), "{command}");
        if command == "host upgrade" {
            let mut status = host();
            let said = output_of(status.arg("status").env("HOST_CONTROL", folder.file("control.sock"))).1;
            let process = said.split_once("process ").unwrap().1.split(',').next().unwrap();
            server.as_mut().unwrap().goes_on_as(process.parse().unwrap());
        }
    }
}
