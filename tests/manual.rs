//! The manual pages and the scripts for shells describe the command line as it is: each command
//! and each flag, under the name by which the program was called.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use host::cli::args::Args;

use crate::harness::{Deployment, Folder, host, output_of, run_to_end};

/// Returns each command with its title, such as `host-swap`, and its flags.
fn commands() -> Vec<(String, Vec<String>)> {
    fn add(command: &clap::Command, title: &str, found: &mut Vec<(String, Vec<String>)>) {
        let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
        let flags = flags.filter_map(|flag| flag.get_long()).map(str::to_owned).collect();
        found.push((title.to_owned(), flags));
        for each in command.get_subcommands().filter(|each| each.get_name() != "help") {
            add(each, &format!("{title}-{}", each.get_name()), found);
        }
    }
    let (mut found, mut command) = (Vec::new(), Args::command());
    command.build();
    add(&command, "host", &mut found);
    assert!(found.len() > 25, "{found:?}");
    found
}

/// Returns the script for a shell, of the program under a name.
fn script(shell: &str, name: &str) -> String {
    let output = run_to_end(host().arg0(name).args(["completion", shell]));
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that other systems may lack. Returns what it prints, if it is there.
fn other(program: &mut Command) -> Option<String> {
    match program.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("{program:?} is not installed, so its part is left out");
            None
        }
        output => {
            let output = output.unwrap();
            let text = String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap();
            assert!(output.status.success(), "{program:?} fails: {text}");
            Some(text)
        }
    }
}

/// Lets a shell read a script without running it.
fn reads(shell: &str, script: &Path) {
    assert_eq!(other(Command::new(shell).arg("-n").arg(script)).unwrap_or_default(), "", "{shell}");
}

#[test]
fn each_command_has_a_manual_page_with_each_of_its_flags() {
    let folder = Folder::new();
    let commands = commands();
    let (code, text) = output_of(host().arg("manual").arg(folder.file("pages/new")));
    assert_eq!((code, text.contains(&format!("wrote {} pages to ", commands.len()))), (0, true), "{text}");
    for (title, flags) in commands {
        let file = folder.file(&format!("pages/new/{title}.1"));
        let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{title}: {error}"));
        for flag in flags {
            let flag = format!("--{flag}").replace('-', "\\-");
            assert!(page.contains(&flag), "{title}.1 lacks {flag}");
        }
        let lint = other(Command::new("mandoc").args(["-T", "lint", "-W", "error,stop"]).arg(&file));
        assert_eq!(lint.unwrap_or_default(), "", "{title}.1");
    }
}

#[test]
fn the_page_of_the_server_has_its_signals_variables_and_files() {
    let (code, page) = output_of(host().arg("manual"));
    assert_eq!(code, 0);
    for part in ["SIGHUP", "HOST_CONFIG", "/etc/host/host.toml", "EXIT STATUS", "host\\-swap(1)"] {
        assert!(page.contains(part), "no {part} in:\n{page}");
    }
}

#[test]
fn the_pages_and_the_scripts_have_the_name_by_which_the_program_was_called() {
    let folder = Folder::new();
    output_of(host().arg0("/usr/bin/host-wasm").arg("manual").arg(folder.file("")));
    let page = fs::read_to_string(folder.file("host-wasm-rollout-pause.1")).unwrap();
    assert!(page.contains("host\\-wasm rollout pause"), "{page}");
    assert!(script("bash", "host-wasm").contains(" host-wasm\n"));
    assert!(script("zsh", "host-wasm").starts_with("#compdef host-wasm\n"));
    assert!(script("fish", "host-wasm").contains("complete -c host-wasm "));
    // A name that a shell would not take as one word is not put into a script.
    for name in ["a;b", "$(a)", "", "-x", "ä"] {
        assert!(script("bash", name).contains(" host\n"), "{name}");
    }
}

#[test]
fn each_shell_gets_a_script_with_each_command_and_flag() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell, "host");
        for (title, flags) in commands() {
            let name = title.trim_start_matches("host-").split('-').next().unwrap();
            assert!(script.contains(name), "{shell} lacks the command {name}");
            for flag in flags {
                // Fish writes long options without their hyphens.
                let written = if shell == "fish" { format!("-l {flag}") } else { format!("--{flag}") };
                assert!(script.contains(&written), "{shell} lacks {written} of {title}");
            }
        }
        let file = folder.file(shell);
        fs::write(&file, script).unwrap();
        reads(shell, &file);
    }
}

#[test]
fn bash_completes_commands_flags_and_files() {
    let folder = Folder::new();
    fs::write(folder.file("script"), script("bash", "host")).unwrap();
    // Completes the last word as bash does, and prints what it offers.
    let complete = |words: &[&str]| {
        let line = r#". "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _host host "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = Command::new("bash");
        bash.current_dir(folder.file("")).args(["-c", line, "bash"]).arg(folder.file("script")).args(words);
        other(&mut bash).map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let Some(first) = complete(&["host", "ro"]) else { return };
    assert_eq!(first, ["rollback", "rollout"]);
    assert_eq!(complete(&["host", "rollout", "pa"]).unwrap(), ["pause"]);
    assert_eq!(complete(&["host", "swap", "--if-v"]).unwrap(), ["--if-version"]);
    assert_eq!(complete(&["host", "completion", "f"]).unwrap(), ["fish"]);
    assert_eq!(complete(&["host", "status", "--control", "scr"]).unwrap(), ["script"]);
    // Where the script offers nothing, bash offers files.
    assert_eq!(complete(&["host", "swap", "scr"]).unwrap(), [""]);
    let options = other(
        Command::new("bash").args(["-c", ". \"$1\"; complete -p host", "bash"]).arg(folder.file("script")),
    );
    assert!(options.unwrap().contains("-o default"));
}

#[test]
fn fish_completes_commands_and_files() {
    let folder = Folder::new();
    fs::write(folder.file("script.fish"), script("fish", "host")).unwrap();
    fs::write(folder.file("greeter.wasm"), "").unwrap();
    let complete = |line: &str| {
        let script = format!("source script.fish; complete -C '{line}'");
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &script]).current_dir(folder.file("")).env("HOME", folder.file(""));
        other(&mut fish)
    };
    let Some(commands) = complete("host ro") else { return };
    assert!(commands.contains("rollback\t") && commands.contains("rollout\t"), "{commands}");
    for line in ["host gree", "host swap gree", "host status --control gree"] {
        let found = complete(line).unwrap();
        assert!(found.starts_with("greeter.wasm"), "{line}: {found}");
    }
}

#[test]
fn a_health_check_succeeds_while_the_server_takes_requests() {
    let place = Deployment::new();
    let health = || output_of(host().args(["health", "--control"]).arg(place.socket()));
    let json = || output_of(host().args(["health", "--json", "--control"]).arg(place.socket()));
    let server = place.start(&[]);
    assert_eq!(health(), (0, "ready\n".into()));
    assert_eq!(json(), (0, "{\"outcome\":\"ready\"}\n".into()));
    server.stop();
    let (code, text) = health();
    assert_eq!((code, text.starts_with("error: ")), (1, true), "{text}");
}
