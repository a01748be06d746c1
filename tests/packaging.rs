//! The files for packages: the documents show them as they are, systemd accepts the units, and the
//! server accepts the example of its configuration.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use crate::harness::{Folder, host, output_of};
use crate::repository::root;

/// Largest exposure that `systemd-analyze security` may count, in tenths.
const EXPOSURE_MAX: u32 = 20;

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns what a command of systemd prints, or nothing where systemd is not installed.
fn analyze(folder: &Folder, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    match command.args(arguments).current_dir(folder.file("")).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("systemd is not installed, so this is left out");
            None
        }
        output => {
            let output = output.unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            Some((output.status.success(), text))
        }
    }
}

/// Returns a folder with the units, in which the path of the program is that of this build.
fn units() -> Folder {
    let folder = Folder::new();
    let program = host().get_program().to_str().unwrap().to_owned();
    for unit in ["host.service", "host.socket"] {
        let text = read(&format!("packaging/systemd/{unit}"));
        fs::write(folder.file(unit), text.replace("/usr/bin/host-wasm", &program)).unwrap();
    }
    folder
}

#[test]
fn the_documents_show_the_files_of_packages_as_they_are() {
    let page = read("docs/operating.md");
    let proxies = ["proxies/nginx.conf", "proxies/haproxy.cfg", "proxies/haproxy-tcp.cfg"];
    for file in ["systemd/host.service", "systemd/host.socket"].into_iter().chain(proxies) {
        let text = read(&format!("packaging/{file}"));
        let shown = page
            .split("\n```")
            .any(|block| block.split_once('\n').is_some_and(|(_, block)| format!("{block}\n") == text));
        assert!(shown, "docs/operating.md does not show packaging/{file} as it is");
    }
}

#[test]
fn systemd_accepts_the_units() {
    let folder = units();
    let arguments = ["verify", "--man=no", "./host.service", "./host.socket"];
    let Some((is_good, text)) = analyze(&folder, &arguments) else { return };
    // The folder of the test, or of this build, may be open to others, which is no mistake of the unit.
    assert!(is_good && !text.contains("Unknown key") && !text.contains("ignoring"), "{text}");
}

#[test]
fn the_service_is_exposed_as_little_as_the_documents_say() {
    let folder = units();
    let arguments = ["security", "--offline=yes", "--no-pager", "./host.service"];
    let Some((_, text)) = analyze(&folder, &arguments) else { return };
    // Versions before 250 know no check without a manager.
    let Some(rest) = text.split("Overall exposure level for host.service: ").nth(1) else {
        eprintln!("this systemd cannot say, so this is left out: {text}");
        return;
    };
    let (whole, tenths) = rest.split_whitespace().next().unwrap().split_once('.').unwrap();
    let exposure = 10 * whole.parse::<u32>().unwrap() + tenths.parse::<u32>().unwrap();
    assert!(exposure <= EXPOSURE_MAX, "{text}");
}

#[test]
fn the_example_of_the_configuration_is_valid_with_and_without_its_comments() {
    let folder = Folder::new();
    let text = read("packaging/host.toml");
    let check = |text: &str| {
        fs::write(folder.file("host.toml"), text).unwrap();
        output_of(host().args(["config", "check"]).arg(folder.file("host.toml")))
    };
    let (code, said) = check(&text);
    assert_eq!((code, said.contains("is valid and sets 0 keys")), (0, true), "{said}");

    // A setting begins right behind the hash, and words after a space.
    let is_setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let lines = text.lines().map(|line| if is_setting(line) { &line[1..] } else { line });
    let all: String = lines.map(|line| format!("{line}\n")).collect();
    // What the machine of the operator has.
    for name in ["greeter.wasm", "shop.wasm"] {
        fs::copy(root().join("tests/fixtures/echo.wat"), folder.file(name)).unwrap();
    }
    fs::write(folder.file("token"), "0123456789abcdef\n").unwrap();
    let place = |name: &str| folder.path(name);
    let all = all
        .replace("/srv/greeter/greeter.wasm", &place("greeter.wasm"))
        .replace("/srv/shop/shop.wasm", &place("shop.wasm"))
        .replace("/run/credentials/host.service/token", &place("token"))
        .replace("\"deploy\"", "\"0\"");
    let (code, said) = check(&all);
    assert_eq!((code, said.contains("is valid and sets 13 keys and has 1 site")), (0, true), "{said}\n{all}");
}
