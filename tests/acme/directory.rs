//! Directory of an authority that answers each request with 503, or not at all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::place::Place;
use crate::harness::PATIENCE;
use crate::tls::parts::{Authority, Issued, NOW, put_authority};

/// Directory, with a folder for the server.
pub struct Directory {
    place: Place,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Deref for Directory {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Directory {
    /// Starts one that asks to come back after so many seconds.
    pub fn start(retry_after: u32) -> Directory {
        let (authority, place) = (Authority::new("directory"), Place::new());
        put_authority(&place.folder, "directory-ca.pem", &authority);
        let Issued { cert, key } = authority.issue(&["127.0.0.1"], NOW);
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, hangs) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counts, waits) = (Arc::clone(&asked), Arc::clone(&hangs));
        thread::spawn(move || {
            let mut open = Vec::new();
            for tcp in listener.incoming().flatten() {
                let Some(mut tls) = read_request(&config, tcp) else { continue };
                counts.fetch_add(1, Relaxed);
                if waits.load(Relaxed) {
                    open.push(tls);
                    continue;
                }
                let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n";
                let _ = write!(tls, "{head}retry-after: {retry_after}\r\n\r\n").and_then(|()| tls.flush());
            }
        });
        Directory { place, address, asked, hangs }
    }

    /// Returns the lines of a configuration.
    pub fn lines(&self, domains: &[&str]) -> String {
        let (address, domains) = (self.address, domains.join("', '"));
        format!(
            "control = 'control'\nacme = ['{domains}']\nacme-agree = true\nacme-directory = 'https://{address}/dir'\n\
             acme-ca = 'directory-ca.pem'\nacme-dir = 'acme'\nlisten = ['127.0.0.1:0', '127.0.0.1:0,redirect']\n"
        )
    }

    /// Returns how many requests have come.
    pub fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    /// Lets further requests wait for ever.
    pub fn hang(&self) {
        self.hangs.store(true, Relaxed);
    }
}

/// Reads the head of a request.
fn read_request(
    config: &Arc<ServerConfig>,
    tcp: TcpStream,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), tcp);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    Some(tls)
}
