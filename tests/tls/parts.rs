//! TLS in tests: an authority that issues certificates, a client that trusts it, and a server.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::SystemTime;

use host::hex::sha256;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyPair, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::harness::wire::replies;
use crate::harness::{Folder, PATIENCE, Reply, Server, host, output_of, rename_over, wait_until};

/// Authority with a certificate of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Certificate that an authority has issued, with its key, both in PEM.
pub struct Issued {
    pub cert: String,
    pub key: String,
}

/// Years in which a certificate is valid.
pub const NOW: (i32, i32) = (2020, 2100);
pub const PAST: (i32, i32) = (2020, 2021);
pub const FUTURE: (i32, i32) = (2090, 2100);

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.key_identifier_method = KeyIdMethod::Sha256;
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns the certificate of the authority in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for names of servers.
    pub fn issue(&self, names: &[&str], (from, until): (i32, i32)) -> Issued {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).into()).collect::<Vec<_>>()).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        self.sign(params, KeyPair::generate().unwrap())
    }

    /// Issues a certificate for names of servers, whose time begins then.
    pub fn issue_from(&self, names: &[&str], begin: SystemTime) -> Issued {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).into()).collect::<Vec<_>>()).unwrap();
        params.not_before = begin.into();
        params.not_after = date_time_ymd(2100, 1, 1);
        self.sign(params, KeyPair::generate().unwrap())
    }

    /// Issues a certificate for a client.
    pub fn issue_to_client(&self, name: &str) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(params, KeyPair::generate().unwrap())
    }

    fn sign(&self, mut params: CertificateParams, key: KeyPair) -> Issued {
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(&key, &self.0).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// Puts the certificate and its key into the files `NAME.pem` and `NAME.key`.
    pub fn put(&self, folder: &Folder, name: &str) {
        let key = folder.file(&format!("{name}.key"));
        fs::write(&key, "").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&key, &self.key).unwrap();
        rename_over(folder.file(&format!("{name}.pem")), &self.cert);
    }

    /// Returns the SHA-256 of the certificate in hexadecimal digits.
    pub fn sha256(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap();
        sha256(&der)
    }
}

/// How a client speaks TLS.
#[derive(Clone)]
pub struct Terms(Arc<ClientConfig>);

impl Terms {
    /// Trusts an authority.
    pub fn new(authority: &Authority) -> Terms {
        Terms::with(authority, rustls::ALL_VERSIONS, None)
    }

    /// Trusts an authority, speaks these versions, and shows a certificate.
    pub fn with(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Issued>,
    ) -> Terms {
        Terms::of(&authority.pem(), versions, shown)
    }

    /// Trusts the authority with this certificate in PEM. Resumes no session, in which a client would
    /// see the certificate of before.
    pub fn trusting(pem: &str) -> Terms {
        let Terms(terms) = Terms::of(pem, rustls::ALL_VERSIONS, None);
        let mut terms = Arc::unwrap_or_clone(terms);
        terms.resumption = Resumption::disabled();
        Terms(Arc::new(terms))
    }

    fn of(pem: &str, versions: &[&'static SupportedProtocolVersion], shown: Option<&Issued>) -> Terms {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        Terms(Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some(Issued { cert, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }))
    }

    /// Offers these protocols, the best one first.
    pub fn speaking(mut self, protocols: &[&[u8]]) -> Terms {
        let config = Arc::make_mut(&mut self.0);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        self
    }

    /// Connects, and sends a request in one piece with the end of the handshake.
    pub fn connect_with(&self, address: SocketAddr, name: &str, request: &str) -> TlsClient {
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let mut is_asked = false;
        while tls.is_handshaking() || tls.wants_write() {
            if !tls.is_handshaking() && !is_asked {
                tls.writer().write_all(request.as_bytes()).unwrap();
                is_asked = true;
            }
            let mut piece = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut piece).unwrap();
            }
            tcp.write_all(&piece).unwrap();
            if tls.is_handshaking() {
                assert!(tls.read_tls(&mut tcp).unwrap() > 0, "the connection has ended");
                tls.process_new_packets().unwrap();
            }
        }
        let mut client = TlsClient { stream: StreamOwned::new(tls, tcp), buffer: Vec::new() };
        // With a whole handshake of TLS 1.2, the end of the server comes last.
        if !is_asked {
            client.send(request);
        }
        client
    }

    /// Connects, and asks for a certificate of this name.
    ///
    /// # Errors
    ///
    /// Why there is no handshake.
    pub fn connect(&self, address: SocketAddr, name: &str) -> Result<TlsClient, String> {
        self.connect_behind(b"", address, name)
    }

    /// Connects, sends a header with the begin of the handshake in one piece, and asks for a
    /// certificate of this name.
    ///
    /// # Errors
    ///
    /// Why there is no handshake.
    pub fn connect_behind(
        &self,
        header: &[u8],
        address: SocketAddr,
        name: &str,
    ) -> Result<TlsClient, String> {
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let mut piece = header.to_vec();
        while tls.wants_write() {
            tls.write_tls(&mut piece).unwrap();
        }
        tcp.write_all(&piece).map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
        }
        Ok(TlsClient { stream, buffer: Vec::new() })
    }
}

/// Client of a server over TLS.
pub struct TlsClient {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl TlsClient {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends a request without a body and reads the response.
    pub fn ask(&mut self, method: &str, target: &str) -> Reply {
        self.send(format!("{method} {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.reply_to(method)
    }

    /// Reads the response to a request of this method.
    pub fn reply_to(&mut self, method: &str) -> Reply {
        self.try_reply_to(method).expect("a response")
    }

    /// Reads the response to a request of this method, unless the connection ends before.
    pub fn try_reply_to(&mut self, method: &str) -> Option<Reply> {
        loop {
            if let Some((reply, rest)) = replies::read(&self.buffer, method.as_bytes()).unwrap() {
                let length = self.buffer.len() - rest.len();
                let reply = Reply::of(reply);
                self.buffer.drain(..length);
                return Some(reply);
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(received @ 1..) => self.buffer.extend_from_slice(&chunk[..received]),
                Ok(0) => return None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer in time"),
                Err(_) => return None,
            }
        }
    }

    /// Waits for the end of the connection. Returns whether it is an end of TLS.
    pub fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }

    /// Returns whether the session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Returns the SHA-256 of the certificate of the server.
    pub fn certificate(&self) -> String {
        let chain = self.stream.conn.peer_certificates().unwrap();
        sha256(&chain[0])
    }
}

/// Writes the certificate of an authority into a file.
pub fn put_authority(folder: &Folder, name: &str, authority: &Authority) {
    fs::write(folder.file(name), authority.pem()).unwrap();
}

/// Server with certificates of an authority. The first is for `a.test`, `*.wild.test` and
/// 127.0.0.1.
pub struct Secure {
    pub authority: Authority,
    pub folder: Folder,
    pub server: Server,
}

impl Secure {
    pub fn start(flags: &[&str]) -> Secure {
        Secure::start_with(&[], flags)
    }

    /// Starts a server with more certificates, each for one name.
    pub fn start_with(more: &[&str], flags: &[&str]) -> Secure {
        let (authority, folder) = (Authority::new("authority"), Folder::new());
        authority.issue(&["a.test", "*.wild.test", "127.0.0.1"], NOW).put(&folder, "a");
        let mut arguments = pair(&folder, "a");
        for name in more {
            authority.issue(&[name], NOW).put(&folder, name);
            arguments.extend(pair(&folder, name));
        }
        arguments.extend(["--control".into(), folder.path("control")]);
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Secure { server: Server::with(&arguments), authority, folder }
    }

    pub fn terms(&self) -> Terms {
        Terms::new(&self.authority)
    }

    pub fn connect(&self) -> TlsClient {
        self.terms().connect(self.server.addresses[0], "a.test").unwrap()
    }

    /// Runs `host cert`.
    pub fn cert(&self) -> (i32, String) {
        output_of(host().args(["cert", "--control"]).arg(self.folder.file("control")))
    }

    /// Waits until the files are refused, and returns why.
    pub fn is_refused(&self, cause: &str) -> String {
        let mut said = String::new();
        wait_until("refused", || {
            said = self.cert().1;
            said.contains("refused, so these go on: ") && said.contains(cause)
        });
        assert_eq!(self.cert().0, 1);
        said
    }

    pub fn metrics(&self) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(self.folder.file("control")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// Returns the flags of a certificate.
pub fn pair(folder: &Folder, name: &str) -> Vec<String> {
    let file = |end: &str| folder.path(&format!("{name}.{end}"));
    vec!["--tls-cert".into(), file("pem"), "--tls-key".into(), file("key")]
}
