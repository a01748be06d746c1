//! A minimal server over TLS on the libraries that the host uses, rustls and h2. Answers every
//! request with the same response, so its cost is that of the libraries. The bench starts its own
//! program again as this server, so that the server is a separate process.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Command-line argument that makes the program run as the server.
const ROLE: &str = "bare";

const PAGE: &[u8] = b"<h1> hello route</h1>";
const DAY: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// Returns a command that runs this program again, as the server at an address. The certificate and
/// its key are PEM files.
pub fn command(address: SocketAddr, cert: &Path, key: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([ROLE, &address.to_string()]).args([cert, key]);
    command
}

/// Serves forever if this process was started by [`command`]. A bench that uses the server calls
/// this function first.
pub fn serve_if_asked() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [role, address, cert, key] = &arguments[..]
        && role == ROLE
    {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(serve(address.parse().expect("an address"), tls(cert, key)));
    }
}

fn tls(cert: &str, key: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(cert).expect("certificates").collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let builder = ServerConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = builder.with_single_cert(chain.expect("certificates"), key).expect("a certificate");
    config.alpn_protocols = ["h2", "http/1.1"].map(|name| name.as_bytes().to_vec()).into();
    config.ticketer = Ticketer::new().expect("tickets");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(address: SocketAddr, tls: TlsAcceptor) {
    let listener = TcpListener::bind(address).await.expect("a free address");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(begin(stream, tls.clone()));
    }
}

/// Serves a connection. Returns an error if the client closes the connection.
async fn begin(stream: TcpStream, tls: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2(stream).await.map_err(io::Error::other),
        _ => http1(stream).await,
    }
}

async fn http2(stream: TlsStream<TcpStream>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request?;
        let response = Response::builder()
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .header(CONTENT_LENGTH, PAGE.len())
            .header(DATE, DAY);
        let response = response.body(()).expect("a response");
        respond.send_response(response, false)?.send_data(Bytes::from_static(PAGE), true)?;
    }
    Ok(())
}

/// Answers HTTP/1.1 requests that have no body and are not pipelined.
async fn http1(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    let mut read = Vec::new();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ndate: {DAY}\r\n\r\n",
        PAGE.len()
    );
    let response = [head.as_bytes(), PAGE].concat();
    while stream.read_buf(&mut read).await? > 0 {
        if read.ends_with(b"\r\n\r\n") {
            // What a client of HTTP/1.0 sends ends with the connection.
            let is_last = read.windows(8).any(|bytes| bytes == b"HTTP/1.0");
            read.clear();
            stream.write_all(&response).await?;
            if is_last {
                return stream.shutdown().await;
            }
        }
    }
    Ok(())
}
