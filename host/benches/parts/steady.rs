//! A client with a steady rate, whatever the server does, and the times of its
//! answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Runs four connections that each send 50 requests a second for this time. Returns
/// the time of each answer, and the number of failures.
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
                        // Measured from when it was due, so a delay counts for all
                        // requests behind it.
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

/// Makes one request. Returns the status if the response is complete.
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

/// Returns the 99th percentile.
pub fn high(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() - 1) * 99 / 100]
}

/// Returns the median in milliseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
