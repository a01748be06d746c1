//! Client of the API: finds the control socket of the server, checks who owns it, sends one request
//! and waits for the reply.

use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use http::header::{HOST, IF_MATCH};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use crate::admin::place;
use crate::admin::protocol::{CHANGES, REPLY_MAX};
use crate::cli::access::{check_owner, unreachable};
use crate::config::environment;
use crate::config::value::{duration, port, showable};

/// Default timeout for a reply. Swaps, rollouts, comparisons, reloads and upgrades have longer
/// timeouts, which depend on the limits of the server.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Time without any data after which an event stream counts as broken. The server sends a comment
/// every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Port of the server if `--port` is not given.
const PORT: u16 = 4444;

/// Flags that choose the server and the output format.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// Port of the server, which determines its default control socket [default: 4444]
    #[arg(long, value_name = "PORT", value_parser = port)]
    pub port: Option<u16>,
    /// Path of the server's control socket, as its ready banner and host status show it. A socket of
    /// another user is used only if it is named here [default: $HOST_CONTROL, unless --port is given]
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub control: Option<PathBuf>,
    /// Longest wait for the reply [default: 10s; for swap, reload and upgrade, what the limits of the server
    /// allow]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print the reply of the server, or each event, as a line of JSON, or
    /// {"outcome":"failed","cause":"..."} when there is no reply or the reply is an error
    #[arg(long)]
    pub json: bool,
}

/// Choice of the site.
#[derive(Clone, Debug, clap::Args)]
pub struct OfSite {
    /// Site that the command concerns [default: the one that the general settings describe, or the
    /// only one]
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
}

impl OfSite {
    /// Returns the target of a request: a path, with the parameters and the chosen site as its
    /// query.
    pub(super) fn target(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let site = self.site.as_deref().map(|name| ("site", name));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(site.iter().chain(parameters))
            .finish();
        if query.is_empty() { path.into() } else { format!("{path}?{query}") }
    }
}

/// Request to the API of a server.
pub(super) struct Ask<'a> {
    pub method: Method,
    /// Path and query of the request.
    pub target: &'a str,
    /// Number of the version that must be current (`If-Match`). If another version is, the server
    /// refuses the request.
    pub if_version: Option<u64>,
    /// Body of the request: a module, or JSON.
    pub body: Vec<u8>,
    /// Timeout for the reply, unless `--timeout` is given.
    pub patience: Duration,
}

impl Ask<'_> {
    /// Returns a GET request, which changes nothing.
    pub(super) fn get(target: &str) -> Ask<'_> {
        Ask { method: Method::GET, target, if_version: None, body: Vec::new(), patience: TIMEOUT }
    }

    /// Returns a PUT request, which replaces a value.
    pub(super) fn put(target: &str, body: Vec<u8>) -> Ask<'_> {
        Ask { method: Method::PUT, body, ..Ask::get(target) }
    }

    /// Returns a POST request, for commands that change something or that send a module.
    pub(super) fn post(target: &str, if_version: Option<u64>, body: Vec<u8>, patience: Duration) -> Ask<'_> {
        Ask { method: Method::POST, target, if_version, body, patience }
    }
}

/// Sends a request to a server, and returns the body of the reply.
///
/// # Errors
///
/// One line: why there is no reply, and what to do.
pub(super) fn ask(server: &Server, ask: Ask<'_>) -> anyhow::Result<String> {
    let patience = server.timeout.unwrap_or(ask.patience);
    let (stream, path) = connect(server, patience)?;
    let reply = runtime()?
        .block_on(async { timeout(patience, async { text(send(stream, ask).await?).await }).await });
    match reply {
        Ok(reply) => reply.map_err(|error| explain(&path, error)),
        Err(_) => Err(late(&path, patience)),
    }
}

/// Reason why [`follow`] stopped reading a stream.
pub(super) enum End {
    /// The server has ended the stream. Holds the path of the control socket.
    Ended(PathBuf),
    /// The callback `take` asked to stop.
    Stopped,
    /// The server has replied with an error instead of a stream. Holds the body of the reply.
    Refused(String),
}

/// Reads a stream of a server, and passes each piece to `take` until the stream ends or `take` asks
/// to stop.
///
/// # Errors
///
/// One line: why there is no stream, why the stream broke, or the error of `take`.
pub(super) fn follow(
    server: &Server,
    target: &str,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<End> {
    let ask = Ask::get(target);
    let patience = server.timeout.unwrap_or(ask.patience);
    let (stream, path) = connect(server, patience)?;
    let shown = path.display().to_string();
    runtime()?.block_on(async {
        let sent = timeout(patience, send(stream, ask)).await.map_err(|_| late(&path, patience))?;
        let answer = sent.map_err(|error| explain(&path, error))?;
        if answer.status() != StatusCode::OK {
            let text = timeout(patience, text(answer)).await.map_err(|_| late(&path, patience))?;
            return text.map(End::Refused).map_err(|error| explain(&path, error));
        }
        let mut body = answer.into_body();
        loop {
            let frame = timeout(SILENCE_MAX, body.frame()).await.map_err(|_| {
                let silence = showable(SILENCE_MAX);
                anyhow!("the server at {shown} has sent nothing for {silence}; its log says whether it runs")
            })?;
            let Some(frame) = frame else { return Ok(End::Ended(path)) };
            let frame = frame.map_err(|_| wordless(&shown))?;
            if let Some(bytes) = frame.data_ref()
                && take(bytes)?.is_break()
            {
                return Ok(End::Stopped);
            }
        }
    })
}

/// Returns the error for a stream that broke off before the server announced that it would end.
pub(super) fn wordless(path: &str) -> anyhow::Error {
    anyhow!(
        "the server at {path} ended without a word: it was killed, or it has failed; its log, or that of the system, may \
         say why"
    )
}

fn runtime() -> anyhow::Result<Runtime> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.context("cannot start an asynchronous runtime")
}

/// Returns an error that says why the server at `path` gave no usable reply.
fn explain(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let path = path.display();
    if error.downcast_ref().is_some_and(hyper::Error::is_parse) {
        anyhow!(
            "what listens at {path} replies no HTTP: another program listens there, or another version of host"
        )
    } else if error.is::<hyper::Error>() {
        error.context(format!(
            "the server at {path} closed the connection without a reply; it may be ending (its log says so)"
        ))
    } else {
        error.context(format!("cannot read the reply of the server at {path}"))
    }
}

fn late(path: &Path, patience: Duration) -> anyhow::Error {
    anyhow!(
        "the server at {} has not replied within {} (--timeout); host status, or its log, says whether it \
         carried the command out",
        path.display(),
        showable(patience)
    )
}

async fn send(stream: UnixStream, ask: Ask<'_>) -> anyhow::Result<Response<Incoming>> {
    stream.set_nonblocking(true)?;
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let mut request =
        Request::builder().method(ask.method).uri(ask.target).header(HOST, "host").header(CHANGES, "cli");
    if let Some(version) = ask.if_version {
        request = request.header(IF_MATCH, format!("\"{version}\""));
    }
    Ok(sender.send_request(request.body(Full::new(Bytes::from(ask.body)))?).await?)
}

async fn text(reply: Response<Incoming>) -> anyhow::Result<String> {
    let status = reply.status();
    let body = Limited::new(reply.into_body(), REPLY_MAX).collect().await.map_err(|error| anyhow!(error))?;
    let text = String::from_utf8(body.to_bytes().into())?;
    if text.is_empty() {
        bail!("it answered {status} and nothing else");
    }
    Ok(text)
}

/// Connects to the control socket that the flags or `$HOST_CONTROL` name. If they name none,
/// connects to the first socket found at the default paths for the port. Returns the connection and
/// the path.
fn connect(server: &Server, patience: Duration) -> anyhow::Result<(UnixStream, PathBuf)> {
    let variable = || std::env::var_os(environment::CONTROL).filter(|path| !path.is_empty());
    let by_variable = || variable().filter(|_| server.port.is_none()).map(PathBuf::from);
    if let Some(path) = server.control.clone().or_else(by_variable) {
        let path = &path;
        let stream = open(path, patience).map_err(|error| unreachable(path, &error))?;
        check_owner(&stream, path, true)?;
        return Ok((stream, path.clone()));
    }
    let port = server.port.unwrap_or(PORT);
    let places = place::usual_paths(port);
    for path in &places {
        match open(path, patience) {
            Ok(stream) => {
                check_owner(&stream, path, false)?;
                return Ok((stream, path.clone()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unreachable(path, &error)),
        }
    }
    let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    let others = place::found_ports();
    let others = match others.is_empty() {
        true => "its ready banner names its control socket".into(),
        false => {
            let ports: Vec<_> = others.iter().map(|port| format!("--port {port}")).collect();
            format!("there are sockets for {}", ports.join(", "))
        }
    };
    bail!(
        "found no server for port {port}, looking for {}; start one, or choose another by --port or --control ({others})",
        looked.join(", ")
    )
}

/// Connects to a Unix socket. Waits at most `patience` while the server does not accept
/// connections.
fn open(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_write_timeout(None)?;
    Ok(OwnedFd::from(socket).into())
}
