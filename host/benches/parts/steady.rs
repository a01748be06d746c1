//! A client that sends requests at a steady rate, however slow the server is, and measures response
//! times.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{high, median, milliseconds};

/// Timeout for connecting, and for each read of a response.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Rate of requests: on each of `connections` connections, one request per `interval`.
#[derive(Clone, Copy)]
pub struct Rate {
    pub connections: u32,
    /// Time between two requests on a connection.
    pub interval: Duration,
}

/// Rate of 200 requests a second.
pub const CALM: Rate = Rate { connections: 4, interval: Duration::from_millis(20) };

/// Response times that clients measured, and the number of failed requests.
#[derive(Default)]
pub struct Seen {
    /// One entry for each request on a connection that stays open: the time at which it was due,
    /// since the start of the load, and the milliseconds from that time to the response.
    pub answers: Vec<(Duration, f64)>,
    /// For each new connection: the milliseconds to open it and get one response.
    pub new: Vec<f64>,
    pub failed: usize,
}

impl Seen {
    pub fn times(&self) -> Vec<f64> {
        self.answers.iter().map(|(_, time)| *time).collect()
    }

    pub fn add(&mut self, other: Seen) {
        self.answers.extend(other.answers);
        self.new.extend(other.new);
        self.failed += other.failed;
    }
}

/// Sends requests for `target` at a steady rate on connections that stay open, and one request a
/// second on a new connection.
pub fn ask_steadily(address: SocketAddr, target: &str, rate: Rate, time: Duration) -> Seen {
    let start = Instant::now();
    let end = start + time;
    thread::scope(|scope| {
        let on_kept = |index: u32| {
            let (mut stream, mut seen) = (connect(address), Seen::default());
            let mut due = start + rate.interval * index / rate.connections;
            while due < end && Instant::now() < end {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if ask(&mut stream, target) != Some(200) {
                    seen.failed += 1;
                    stream = connect(address);
                }
                // Measured from when the request was due, so a delay counts for all
                // requests behind it.
                seen.answers.push((due - start, milliseconds(due)));
                due += rate.interval;
            }
            seen
        };
        let clients: Vec<_> =
            (0..rate.connections).map(|index| scope.spawn(move || on_kept(index))).collect();
        let mut all = Seen::default();
        while Instant::now() < end {
            let since = Instant::now();
            all.failed += usize::from(ask(&mut connect(address), target) != Some(200));
            all.new.push(milliseconds(since));
            let next = (since + Duration::from_secs(1)).min(end);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        clients.into_iter().for_each(|client| all.add(client.join().unwrap()));
        all
    })
}

/// Calls `run` for each kind in turn, and does so `turns` times. Prints the 99th percentile of the
/// response times for each kind, and its ratio to that of the first kind. Returns the number of
/// failed requests.
pub fn compare(what: &str, turns: usize, kinds: &[&str], mut run: impl FnMut(usize) -> Seen) -> usize {
    let mut results: Vec<_> = kinds.iter().map(|_| (Vec::new(), Seen::default())).collect();
    for _ in 0..turns {
        for (kind, (highs, all)) in results.iter_mut().enumerate() {
            let seen = run(kind);
            highs.push(high(&seen.times()));
            all.add(seen);
        }
    }
    println!("{what}: 99th percentile, medians of {turns} turns:");
    let first = median(&results[0].0);
    for (kind, (highs, seen)) in kinds.iter().zip(&results) {
        let high = median(highs);
        print!("  {high:.2} ms {kind}, ratio {:.2}", high / first);
        if !seen.new.is_empty() {
            print!("; a new connection and its answer {:.2} ms", median(&seen.new));
        }
        println!("; {} answers, {} failed", seen.answers.len(), seen.failed);
    }
    results.iter().map(|(_, seen)| seen.failed).sum()
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends one request. Returns the status, or None if no complete response arrives.
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
