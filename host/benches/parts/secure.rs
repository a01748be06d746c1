//! Servers over TLS that are compared, all with one self-signed certificate.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;

use super::peers::{PAUSE, QUIET};
use super::program::{Program, free_address};
use super::{bare, nginx};
use crate::harness::{self, Folder};

/// Name of the server in the certificate.
pub const NAME: &str = "localhost";

/// Kind of server over TLS, which answers GET /route.
pub struct Kind {
    name: &'static str,
    /// Returns the command that starts a server at an address, with the paths of a certificate and
    /// of its key.
    command: fn(&Folder, SocketAddr, &str, &str) -> Command,
}

/// Running server.
pub struct Secure {
    pub name: &'static str,
    pub address: SocketAddr,
    pub program: Program,
}

pub const HOST: Kind = Kind {
    name: "host",
    command: |_, address, cert, key| {
        let mut command = harness::host();
        command.args(["--no-control", "--listen", &address.to_string()]).args(QUIET);
        command.args(["--tls-cert", cert, "--tls-key", key]);
        command
    },
};

pub const BARE: Kind = Kind {
    name: "bare rustls and h2",
    command: |_, address, cert, key| bare::command(address, cert.as_ref(), key.as_ref()),
};

/// nginx with room for 16,384 connections in each of its processes.
pub const NGINX: Kind = Kind {
    name: "nginx",
    command: |folder, address, cert, key| {
        let http = format!(
            "server {{ listen {address} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
               ssl_session_cache shared:SSL:10m; ssl_protocols TLSv1.2 TLSv1.3;
               location = /route {{ default_type text/html; return 200 \"<h1> hello route</h1>\"; }} }}"
        );
        nginx::command(folder, "auto", 16_384, &http)
    },
};

/// Starts a server of each kind that is installed. Also returns their certificate.
pub fn start(folder: &Folder, kinds: &[Kind]) -> (Vec<Secure>, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert_file, key_file) = (folder.file("cert.pem"), folder.file("key.pem"));
    fs::write(&cert_file, cert.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let [cert_path, key_path] = [&cert_file, &key_file].map(|file| file.to_str().unwrap());
    let mut servers = Vec::new();
    for Kind { name, command } in kinds {
        let address = free_address();
        let mut command = command(folder, address, cert_path, key_path);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let Some(program) = Program::start(&mut command, "it does not stand beside the host") else {
            continue;
        };
        while TcpStream::connect(address).is_err() {
            sleep(PAUSE);
        }
        servers.push(Secure { name, address, program });
    }
    (servers, cert.der().clone())
}
