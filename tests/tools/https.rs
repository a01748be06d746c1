//! `host dev --https`: a client that trusts the authority of the folder gets an answer, and what is in
//! the folder is used again, or left as it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, PublicKeyData as _,
};

use super::developing::{developing, edit, new};
use crate::harness::{Client, Folder, Server, output_of};

/// Files of the folder.
const NAMES: [&str; 3] = ["ca.key", "ca.pem", "localhost.pem"];

/// Asks the server by curl, which trusts an authority or not. Returns the exit code and what it printed.
fn curl(url: &str, authority: Option<&Path>) -> (i32, String) {
    let mut curl = Command::new("curl");
    curl.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", url]);
    if let Some(authority) = authority {
        curl.arg("--cacert").arg(authority);
    }
    output_of(&mut curl)
}

fn start(path: &Path, place: &Path, more: &[&str]) -> Server {
    let mut command = developing();
    command.env("XDG_DATA_HOME", place);
    let arguments = ["dev", path.to_str().unwrap(), "--https", "--listen", "localhost:0"];
    Server::spawn(command, &[&arguments[..], more].concat())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_client_that_trusts_the_authority_gets_what_is_saved_over_https() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-ten");
    let data = folder.file("data");
    let kept = data.join("host-dev-ca");
    let mut server = start(&path, &data, &[]);
    assert!(server.urls.iter().all(|url| url.starts_with("https://")), "{:?}", server.urls);
    let ca = kept.join("ca.pem");
    let shown = format!("'{}'", ca.display());
    for words in ["curl --cacert ", "update-ca-certificates", "certutil", "security add-trusted-cert"] {
        server.log_line(&[words, &shown]);
    }
    server.log_line(&["security add-trusted-cert -r trustRoot -p ssl -k "]);
    server.log_line(&["You need not trust it."]);
    let port = server.addresses[0].port();
    let mut urls = server.urls.clone();
    urls.push(format!("https://localhost:{port}"));
    for url in &urls {
        assert_eq!(curl(url, Some(&ca)), (0, "<h1>it works</h1>".into()), "{url}");
        assert_eq!(curl(url, None).0, 60, "{url}: expected an unknown authority");
    }
    assert_eq!(Client::connect(server.addresses[0]).ask("GET", "/").status, 308);

    edit(&path.join("src/lib.rs"), "it works", "it works better");
    server.log_line(&["serving version 2"]);
    assert_eq!(curl(&urls[0], Some(&ca)).1, "<h1>it works better</h1>");

    assert_eq!(mode(&kept), 0o700);
    let before = files(&kept);
    assert_eq!(before.keys().collect::<Vec<_>>(), NAMES);
    for name in NAMES {
        assert_eq!(mode(&kept.join(name)), 0o600, "{name}");
    }
    server.signal("INT");
    assert!(server.wait().0.success());

    // The next start uses them again.
    let server = start(&path, &data, &[]);
    assert_eq!(files(&kept), before);
    assert_eq!(curl(&server.urls[0], Some(&ca)).0, 0);
    drop(server);
    // Another loopback address gets into the certificate, and its authority stays.
    let mut server = start(&path, &data, &["--listen", "127.0.0.2:0", "--listen", "0.0.0.0:0"]);
    server.log_line(&["https by the authority", ca.to_str().unwrap()]);
    server.log_line(&["the certificate of --https is not for 0.0.0.0"]);
    let after = files(&kept);
    for name in NAMES {
        assert_eq!(after[name] == before[name], name != "localhost.pem", "{name}");
    }
    let second = server.urls.iter().find(|url| url.contains("//127.0.0.2:")).unwrap();
    for url in [second, &server.urls[0]] {
        assert_eq!(curl(url, Some(&ca)).0, 0, "{url}");
    }
}

/// Runs `host dev --https` until it is ready to build, and fails then. Returns what it said.
fn dev(path: &Path, kept: &Path) -> String {
    let mut command = developing();
    command.arg("dev").arg(path).args(["--https", "--https-dir"]).arg(kept);
    command.args(["--listen", "127.0.0.1:0", "--probe-file", "no-such-file"]);
    let (code, said) = output_of(&mut command);
    assert_eq!(code, 1, "{said}");
    said
}

/// Returns the files of a folder with their bytes; a folder or a link in it has none.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let bytes = |entry: &fs::DirEntry| match entry.file_type().unwrap().is_file() {
        true => fs::read(entry.path()).unwrap(),
        false => Vec::new(),
    };
    entries.map(|entry| (entry.file_name().into_string().unwrap(), bytes(&entry))).collect()
}

/// What is said of a folder, and what makes it so.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn a_folder_with_something_else_is_told_and_left_as_it_is() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-eleven");
    let [good, other] = ["good", "other"].map(|name| folder.file(name));
    for kept in [&good, &other] {
        assert!(dev(&path, kept).contains("no-such-file"));
    }
    let (good, other) = (files(&good), files(&other));
    assert_eq!(good.keys().collect::<Vec<_>>(), NAMES);
    assert!(good.iter().all(|(name, bytes)| *bytes != other[name]));
    let damages: [Damage<'_>; 12] = [
        ("other users may enter it; expected the mode 0700", &|kept| set_mode(kept, 0o750)),
        ("others can write to it (its mode is 0720", &|kept| set_mode(kept, 0o720)),
        ("it holds `notes.txt`; expected a folder that is used for nothing else", &|kept| {
            fs::write(kept.join("notes.txt"), "").unwrap();
        }),
        ("ca.key is missing beside its other files", &|kept| fs::remove_file(kept.join("ca.key")).unwrap()),
        ("ca.pem is missing beside its other files", &|kept| fs::remove_file(kept.join("ca.pem")).unwrap()),
        ("ca.pem is missing beside its other files", &|kept| {
            fs::remove_file(kept.join("ca.pem")).unwrap();
            fs::remove_file(kept.join("ca.key")).unwrap();
        }),
        ("ca.pem and ca.key are no authority of host dev: the key is not that of the certificate", &|kept| {
            fs::write(kept.join("ca.key"), &other["ca.key"]).unwrap();
        }),
        ("no authority of host dev: there is no certificate in PEM", &|kept| {
            fs::write(kept.join("ca.pem"), b"\0\xff").unwrap();
        }),
        ("no authority of host dev: the key is none in PEM", &|kept| {
            fs::write(kept.join("ca.key"), "").unwrap();
        }),
        ("localhost.pem is no certificate of host dev with its key; remove it to get a new one", &|kept| {
            fs::write(kept.join("localhost.pem"), &good["ca.pem"][..99]).unwrap();
        }),
        ("cannot read localhost.pem: it is a symbolic link; expected a regular file", &|kept| {
            fs::remove_file(kept.join("localhost.pem")).unwrap();
            symlink("ca.pem", kept.join("localhost.pem")).unwrap();
        }),
        ("cannot read ca.key: it is longer than 65536 bytes", &|kept| {
            fs::write(kept.join("ca.key"), vec![b'x'; 70_000]).unwrap();
        }),
    ];
    for (number, (expected, damage)) in damages.into_iter().enumerate() {
        let kept = folder.file(&format!("kept-{number}"));
        fs::create_dir(&kept).unwrap();
        set_mode(&kept, 0o700);
        for (name, bytes) in &good {
            fs::write(kept.join(name), bytes).unwrap();
        }
        damage(&kept);
        let before = files(&kept);
        let said = dev(&path, &kept);
        let begin = format!("error: cannot use the folder {} (--https-dir): ", kept.display());
        assert!(said.starts_with(&begin) && said.contains(expected) && said.lines().count() == 1, "{said}");
        assert_eq!(files(&kept), before, "{expected}");
    }
    // A certificate of another authority is issued anew.
    let kept = folder.file("kept-0");
    set_mode(&kept, 0o700);
    fs::write(kept.join("localhost.pem"), &other["localhost.pem"]).unwrap();
    assert!(dev(&path, &kept).contains("no-such-file"));
    let found = files(&kept);
    assert!(![&good, &other].iter().any(|files| files["localhost.pem"] == found["localhost.pem"]));
    assert_eq!((&found["ca.pem"], &found["ca.key"]), (&good["ca.pem"], &good["ca.key"]));
    // A file is no folder, and in a file there can be none.
    for (place, expected) in
        [("kept-0/ca.pem", "it is a regular file; expected a folder"), ("kept-0/ca.pem/a", "")]
    {
        let place = folder.file(place);
        let said = dev(&path, &place);
        let begin = format!("error: cannot use the folder {} (--https-dir): {expected}", place.display());
        assert!(said.starts_with(&begin), "{said}");
    }
}

#[test]
fn an_authority_for_more_than_servers_is_used_on_and_told() {
    let folder = Folder::new();
    let (path, kept) = (new(&folder, "greeter-twelve"), folder.file("kept"));
    assert!(!dev(&path, &kept).contains("older host dev"));
    let made = files(&kept);
    // As it was made before: it says nothing of what its certificates are for.
    let key = KeyPair::from_pem(std::str::from_utf8(&made["ca.key"]).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let sha256 = host::hex::sha256(key.der_bytes());
    params.distinguished_name.push(DnType::CommonName, format!("host dev {}", &sha256[..8]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    fs::write(kept.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let before = files(&kept);
    let said = dev(&path, &kept);
    for text in ["older host dev", "can vouch for mail, too", kept.to_str().unwrap(), "no-such-file"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert_eq!(files(&kept), before);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
