//! A client that asks at a steady rate, whatever happens, and how long its
//! answers take.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Four connections that each ask 50 times a second, for this time. Returns
/// how long each answer took, and how many there were not.
pub fn ask_steadily(address: SocketAddr, target: &str, time: Duration) -> (Vec<Duration>, usize) {
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let (mut stream, mut times, mut failed) = (connect(address), Vec::new(), 0);
                    let mut next = Instant::now();
                    while next < end && Instant::now() < end {
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                        if ask(&mut stream, target) != Some(200) {
                            failed += 1;
                            stream = connect(address);
                        }
                        // From when it was due: a wait counts for all behind it.
                        times.push(next.elapsed());
                        next += Duration::from_millis(20);
                    }
                    (times, failed)
                })
            })
            .collect();
        let mut all = (Vec::new(), 0);
        for client in clients {
            let (times, failed) = client.join().unwrap();
            all.0.extend(times);
            all.1 += failed;
        }
        all
    })
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request. Returns the status of the response, if one came whole.
pub fn ask(stream: &mut io::Result<TcpStream>, target: &str) -> Option<u16> {
    let stream = stream.as_mut().ok()?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).ok()?;
    let mut reply = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
        reply.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&reply).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1)?.lines().next()?;
            if body.len() >= length.parse().ok()? {
                return head.get(9..12)?.parse().ok();
            }
        }
    }
}

/// The 99th percentile.
pub fn high(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() - 1) * 99 / 100]
}

/// The median, in milliseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
