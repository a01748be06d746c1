//! The real binary as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{Client, fixture, paths};

/// The longest that anything is waited for. Never reached by a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub fn host() -> Command {
    let mut command = Command::new(paths::program());
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Returns a command that becomes the program after lines for a shell.
pub fn host_after(script: &str) -> Command {
    let mut shell = Command::new("sh");
    let program = host().get_program().to_owned();
    shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(program);
    shell.env_remove("NO_COLOR").stdin(Stdio::null());
    shell
}

/// Waits for the ready line on the piped standard output of a server, and returns
/// its first address.
pub fn ready_address(child: &mut Child) -> SocketAddr {
    let ready = lines(child.stdout.take().unwrap()).recv_timeout(PATIENCE);
    addresses(&ready.expect("a ready line"))[0]
}

/// Runs the program with arguments that it cannot start with. Returns what it
/// wrote to standard error, after checking that it is one line and that the
/// exit code is 1.
pub fn fails_to_start<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let output = run_to_end(host().args(arguments));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "expected one line:\n{text}");
    assert!(text.starts_with("error: "), "{text}");
    assert!(output.stdout.is_empty(), "it said that it was ready");
    text.trim_end().to_owned()
}

/// Runs a command that is to end by itself.
pub fn run_to_end(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let (send, ended) = channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    ended
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| {
            let _ = Command::new("kill").args(["-9", &id]).status();
            panic!("{command:?} does not end");
        })
        .unwrap()
}

/// Runs a command that is to end by itself. Returns its exit code, and all that it
/// printed.
pub fn output_of(command: &mut Command) -> (i32, String) {
    let output = run_to_end(command);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// Asks again and again until something is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    /// The URLs of its ready line.
    pub urls: Vec<String>,
    /// The addresses among them.
    pub addresses: Vec<SocketAddr>,
    ready: Receiver<String>,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Server {
    /// The default handler on a free port.
    pub fn start() -> Server {
        Server::with::<&str>(&[])
    }

    /// A module of the fixtures on a free port.
    pub fn of(name: &str) -> Server {
        Server::of_with(name, &[])
    }

    pub fn of_with(name: &str, flags: &[&str]) -> Server {
        Server::with(&[&[fixture(name).to_str().unwrap()], flags].concat())
    }

    /// A module given as text, on a free port.
    pub fn of_text(wat: &str) -> Server {
        Server::of_text_with(wat, &[])
    }

    pub fn of_text_with(wat: &str, flags: &[&str]) -> Server {
        // The server has read it when it is ready, so the file may go then.
        let file = super::TextFile::new(wat);
        Server::with(&[&[file.path().to_str().unwrap()], flags].concat())
    }

    /// With these arguments; on a free port, without a control socket and without
    /// probes, unless they say otherwise.
    pub fn with<A: AsRef<OsStr>>(arguments: &[A]) -> Server {
        Server::spawn(host(), arguments)
    }

    /// The same, with a command that becomes the program.
    pub fn spawn<A: AsRef<OsStr>>(command: Command, arguments: &[A]) -> Server {
        Server::begin(command, arguments).until_ready()
    }

    /// The same, before it is ready.
    pub fn begin<A: AsRef<OsStr>>(mut command: Command, arguments: &[A]) -> Server {
        command.args(arguments);
        if !arguments.iter().any(|argument| argument.as_ref() == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let is_probe = |argument: &A| argument.as_ref().to_string_lossy().starts_with("--probe");
        if !arguments.iter().any(is_probe) {
            // Many tests are about modules that no probe would let in.
            command.arg("--no-probe");
        }
        if !arguments.iter().any(|argument| argument.as_ref() == "--control") {
            command.arg("--no-control");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let ready = lines(child.stdout.take().unwrap());
        Server { child, urls: Vec::new(), addresses: Vec::new(), ready, log, seen: Vec::new() }
    }

    /// Waits until it is ready.
    pub fn until_ready(mut self) -> Server {
        match self.ready.recv_timeout(PATIENCE) {
            Ok(ready) => {
                self.urls = ready.split_whitespace().skip(1).map(str::to_owned).collect();
                self.addresses = addresses(&ready);
            }
            Err(_) => {
                let _ = self.child.kill();
                panic!("no ready line; it said:\n{}", self.log.iter().collect::<Vec<_>>().join("\n"));
            }
        }
        self
    }

    /// A new connection to its first address.
    pub fn connect(&self) -> Client {
        Client::connect(self.addresses[0])
    }

    /// Waits for a line on standard error that holds all of these texts.
    pub fn log_line(&mut self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        let holds = |line: &&String| texts.iter().all(|text| line.contains(text));
        loop {
            if let Some(line) = self.seen.iter().find(holds) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line with {texts:?} in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// A line on standard error that holds all of these texts, if it has come.
    pub fn log_line_now(&mut self, texts: &[&str]) -> Option<String> {
        self.seen.extend(self.log.try_iter());
        self.seen.iter().find(|line| texts.iter().all(|text| line.contains(text))).cloned()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it has started.
    pub fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let list = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("children")).ok()
        };
        let lists: String = tasks.filter_map(list).collect();
        lists.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// What the process holds at this moment.
    pub fn resources(&self) -> Resources {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap();
        Resources {
            descriptors: std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count(),
            mappings: read("maps").lines().count(),
            resident_kib: status_kib(self.pid(), "VmRSS:").unwrap(),
        }
    }

    /// Waits until the process holds no more than it did before: what was just
    /// done may still be on its way out.
    #[track_caller]
    pub fn settles_at(&self, before: &Resources) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.resources();
            if now.is_within(before) {
                return;
            }
            assert!(Instant::now() < deadline, "{before:?} -> {now:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Ends the server as an operator does, checks that this succeeds, and returns
    /// all lines of its log.
    #[track_caller]
    pub fn stop(self) -> Vec<String> {
        self.signal("TERM");
        let (status, lines) = self.wait();
        assert!(status.success(), "{status}: {lines:?}");
        lines
    }

    /// Checks what a new connection is answered, and by which version.
    #[track_caller]
    pub fn says(&self, word: &str, version: u64) {
        let reply = self.connect().ask("GET", "/");
        let version = version.to_string();
        assert_eq!((reply.text(), reply.field("x-handler-version")), (word, Some(version.as_str())));
    }

    /// Waits for its end, and returns it with everything on standard error.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = std::mem::take(&mut self.seen);
        // Standard error ends when the process does.
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            seen.push(line);
        }
        assert!(Instant::now() < deadline, "it does not end; it said:\n{}", seen.join("\n"));
        (self.child.wait().unwrap(), seen)
    }
}

/// Returns an amount of memory from the status of a process that runs, in KiB.
pub fn status_kib(pid: u32, name: &str) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// What a process holds.
#[derive(Debug)]
pub struct Resources {
    pub descriptors: usize,
    pub mappings: usize,
    pub resident_kib: usize,
}

impl Resources {
    /// Whether this is no more than at a time before. A leak would be many times
    /// what is allowed.
    fn is_within(&self, before: &Resources) -> bool {
        let within = |now: usize, before: usize| now <= before + before / 10;
        within(self.descriptors, before.descriptors)
            && within(self.mappings, before.mappings)
            && within(self.resident_kib, before.resident_kib)
    }
}

/// The lines of a stream, as they come, until it ends.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    lines
}

/// The addresses in a ready line.
fn addresses(ready: &str) -> Vec<SocketAddr> {
    let urls = ready.strip_prefix("ready ").expect("a ready line").split_whitespace();
    urls.filter_map(|url| Some(url.strip_prefix("http://")?.parse().unwrap())).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
