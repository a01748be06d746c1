//! A server with the routes of the default handler but without WebAssembly, written in the usual
//! way on hyper and tokio. The bench starts its own program again as this server, so that the
//! server is a separate process.

use std::env;
use std::net::SocketAddr;
use std::process::Command;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Command-line argument that makes the program run as the server.
const ROLE: &str = "native";

/// Returns a command that runs this program again, as the native server at an address.
pub fn command(address: SocketAddr) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([ROLE, &address.to_string()]);
    command
}

/// Serves forever if this process was started by [`command`]. A bench that uses the server calls
/// this function first.
pub fn serve_if_asked() {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(ROLE) {
        let address = arguments.next().expect("an address").parse().expect("an address");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(serve(address));
    }
}

async fn serve(address: SocketAddr) {
    let listener = TcpListener::bind(address).await.expect("a free address");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // Errors come from clients that closed the connection.
            let _ = connection.await;
            std::io::Result::Ok(())
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_read = [Method::GET, Method::HEAD].contains(&parts.method);
    Ok(match parts.uri.path() {
        "/echo" => Response::new(Full::new(body)),
        "/" if is_read => page(StatusCode::OK, "<h1> hello index</h1>"),
        "/route" if is_read => page(StatusCode::OK, "<h1> hello route</h1>"),
        "/" | "/route" => {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "<h1>error 405 method not allowed</h1>");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => page(StatusCode::NOT_FOUND, "<h1>error 404 not found</h1>"),
    })
}

fn page(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
