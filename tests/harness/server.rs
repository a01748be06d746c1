//! Runs the real binary as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{Client, fixture, paths};

/// Timeout of every wait in the tests, far longer than a test that passes needs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Returns a command that runs the program under test.
pub fn host() -> Command {
    host_at(paths::program())
}

/// Returns a command that runs the program at a path.
pub fn host_at(program: &Path) -> Command {
    let mut command = Command::new(program);
    clean(&mut command);
    command
}

/// Removes the environment variables of the tests that would change what the program does.
fn clean(command: &mut Command) {
    let own = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOST_"));
    for (name, _) in own {
        command.env_remove(name);
    }
    command.env_remove("NO_COLOR").stdin(Stdio::null());
}

/// Returns a command that runs a shell script and then becomes the program under test.
pub fn host_after(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(paths::program());
    clean(&mut shell);
    shell
}

/// Waits for the line `ready URL...`, which a server prints on its standard output. Returns the
/// first address in it.
pub fn ready_address(child: &mut Child) -> SocketAddr {
    let ready = lines(child.stdout.take().unwrap()).recv_timeout(PATIENCE);
    addresses(&ready.expect("a ready line"))[0]
}

/// Runs the program with arguments that prevent its start. Checks that it prints one line on
/// standard error and exits with code 1. Returns the line.
pub fn fails_to_start<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let output = run_to_end(host().args(arguments));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "expected one line:\n{text}");
    assert!(text.starts_with("error: "), "{text}");
    assert!(output.stdout.is_empty(), "it said that it was ready");
    text.trim_end().to_owned()
}

/// Runs a command to its end. Panics after `PATIENCE`.
pub fn run_to_end(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (send, ended) = channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let output = ended.recv_timeout(PATIENCE);
    output
        .unwrap_or_else(|_| {
            kill("KILL", id);
            panic!("{command:?} does not end");
        })
        .unwrap()
}

/// Sends a signal, given by its name, to a process. Ignores a process that has ended.
pub fn kill(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    kill.args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Runs a command to its end. Returns its exit code and everything it printed.
pub fn output_of(command: &mut Command) -> (i32, String) {
    let output = run_to_end(command);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// Polls until a condition holds. Panics after `PATIENCE`.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Server process, killed on drop.
pub struct Server {
    child: Child,
    /// Id of the process that took the place of the child in an upgrade.
    upgraded: Option<u32>,
    /// URLs in the line `ready URL...`, which the server prints on its standard output.
    pub urls: Vec<String>,
    /// Addresses of those URLs that begin with `http` or `https`.
    pub addresses: Vec<SocketAddr>,
    ready: Receiver<String>,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Server {
    /// Starts a server with the default handler on a free port.
    pub fn start() -> Server {
        Server::with::<&str>(&[])
    }

    /// Starts a server with a module of the fixtures on a free port.
    pub fn of(name: &str) -> Server {
        Server::of_with(name, &[])
    }

    pub fn of_with(name: &str, flags: &[&str]) -> Server {
        Server::with(&[&[&*fixture(name)], flags].concat())
    }

    /// Starts a server with a module given as text on a free port.
    pub fn of_text(wat: &str) -> Server {
        Server::of_text_with(wat, &[])
    }

    pub fn of_text_with(wat: &str, flags: &[&str]) -> Server {
        // A ready server has read the file, so the file may be removed.
        let file = super::TextFile::new(wat);
        Server::with(&[&[file.path()], flags].concat())
    }

    /// Starts a server with these arguments. Unless they say otherwise, it listens on a
    /// free port and has neither a control socket nor probes.
    pub fn with<A: AsRef<OsStr>>(arguments: &[A]) -> Server {
        Server::spawn(host(), arguments)
    }

    /// Starts a server with a command that runs the program, and with these arguments. If the
    /// command sets `LISTEN_FDS` or `XDG_RUNTIME_DIR`, the server uses these sockets, or this
    /// folder for its control socket.
    pub fn spawn<A: AsRef<OsStr>>(command: Command, arguments: &[A]) -> Server {
        Server::begin(command, arguments).until_ready()
    }

    /// Starts a server with a command that runs the program, and with these arguments. Does not
    /// wait for the ready line. Unless the arguments or the command say otherwise, the server
    /// listens on a free port and has neither a control socket nor probes.
    pub fn begin<A: AsRef<OsStr>>(mut command: Command, arguments: &[A]) -> Server {
        command.args(arguments);
        let has = |flag: &str| arguments.iter().any(|argument| argument.as_ref() == flag);
        let is_set = |name: &str| command.get_envs().any(|(each, _)| each == name);
        let (is_handed, has_place) = (is_set("LISTEN_FDS"), is_set("XDG_RUNTIME_DIR"));
        if !is_handed && !has("--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // Many tests use modules that no probe would accept.
        if !has("--probe") && !has("--probe-file") {
            command.arg("--no-probe");
        }
        if !has_place && !has("--control") {
            command.arg("--no-control");
        }
        Server::begin_as_it_is(command)
    }

    /// Starts a server with a command that has all its arguments. Does not wait for the ready line.
    pub fn begin_as_it_is(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let ready = lines(child.stdout.take().unwrap());
        Server {
            child,
            upgraded: None,
            urls: Vec::new(),
            addresses: Vec::new(),
            ready,
            log,
            seen: Vec::new(),
        }
    }

    /// Waits for the ready line.
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

    /// Connects to the first address.
    pub fn connect(&self) -> Client {
        Client::connect(self.addresses[0])
    }

    /// Connects, and asks for a target without reading the response.
    pub fn asking(&self, target: &str) -> Client {
        let mut client = self.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
        client
    }

    /// Waits for a line on standard error that contains all of these texts. The line may have
    /// been written before.
    pub fn log_line(&mut self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.log_line_now(texts) {
                return line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no line with {texts:?} in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Returns a line that the server has already written to standard error and that contains all
    /// of these texts, if there is one.
    pub fn log_line_now(&mut self, texts: &[&str]) -> Option<String> {
        self.seen.extend(self.log.try_iter());
        self.seen.iter().find(|line| texts.iter().all(|text| line.contains(text))).cloned()
    }

    /// Returns the id of the server process. After an upgrade, that is the new process.
    pub fn pid(&self) -> u32 {
        self.upgraded.unwrap_or(self.child.id())
    }

    /// Requests an upgrade, and waits until the new process serves.
    pub fn upgrade(&mut self) {
        self.order_upgrade();
        self.is_upgraded();
    }

    /// Requests an upgrade, and waits until it has failed. Returns the cause.
    pub fn fails_to_upgrade(&mut self) -> String {
        self.order_upgrade();
        let line = self.log_line(&["not upgraded: this process goes on"]);
        line.split_once("cause=").unwrap().1.to_owned()
    }

    /// Requests an upgrade by SIGUSR2, without waiting for it. Forgets the log lines that were read
    /// before.
    pub fn order_upgrade(&mut self) {
        self.seen.clear();
        self.signal("USR2");
    }

    /// Waits until a new process has taken the place of the child process.
    pub fn is_upgraded(&mut self) {
        let ready = self.ready.recv_timeout(PATIENCE);
        let ready = ready.unwrap_or_else(|_| panic!("no ready line; it said:\n{}", self.seen.join("\n")));
        assert_eq!(addresses(&ready), self.addresses);
        let line = self.log_line(&["upgraded: a new process serves"]);
        let process = line.split_once("process=").unwrap().1;
        self.upgraded = process.split_whitespace().next().map(|number| number.parse().unwrap());
    }

    /// Records the id of the process that has taken the place of the child process.
    pub fn goes_on_as(&mut self, process: u32) {
        self.upgraded = Some(process);
    }

    /// Waits until the process that was started first has ended. Returns its exit status.
    pub fn first_process_ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the first process does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the ids of the child processes of the server.
    pub fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let lists = tasks.flat_map(|task| std::fs::read_to_string(task.path().join("children")));
        lists.collect::<String>().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Returns the resources that the server uses now.
    pub fn resources(&self) -> Resources {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap();
        Resources {
            descriptors: std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count(),
            mappings: read("maps").lines().count(),
            resident_kib: status_kib(self.pid(), "VmRSS:").unwrap(),
        }
    }

    /// Waits until the server uses at most a tenth more of each resource than `before`, because
    /// freeing may take a moment.
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

    /// Sends the server a signal, given by its name.
    pub fn signal(&self, name: &str) {
        kill(name, self.pid());
    }

    /// Stops the server by SIGTERM, checks that it exits with success, and returns
    /// its log.
    #[track_caller]
    pub fn stop(self) -> Vec<String> {
        self.signal("TERM");
        let (status, lines) = self.wait();
        assert!(status.success(), "{status}: {lines:?}");
        lines
    }

    /// Makes a request on a new connection. Checks that `word` is the body of the response, and
    /// `version` the number of the version that answered.
    #[track_caller]
    pub fn says(&self, word: &str, version: u64) {
        let reply = self.connect().ask("GET", "/");
        let version = version.to_string();
        assert_eq!((reply.text(), reply.field("x-handler-version")), (word, Some(version.as_str())));
    }

    /// Waits for the exit of the server. Returns its exit status and all lines on standard error.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = std::mem::take(&mut self.seen);
        // Reads to the end of standard error, which the exit of the process closes.
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            seen.push(line);
        }
        assert!(Instant::now() < deadline, "it does not end; it said:\n{}", seen.join("\n"));
        (self.child.wait().unwrap(), seen)
    }
}

/// Returns an amount of memory from /proc/PID/status, in KiB. `name` ends in a colon.
pub fn status_kib(pid: u32, name: &str) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Resources of a process.
#[derive(Debug)]
pub struct Resources {
    pub descriptors: usize,
    pub mappings: usize,
    pub resident_kib: usize,
}

impl Resources {
    /// Returns whether no resource has grown by more than a tenth since `before`. A leak would make
    /// a resource grow many times as much.
    fn is_within(&self, before: &Resources) -> bool {
        let amounts = |of: &Resources| [of.descriptors, of.mappings, of.resident_kib];
        amounts(self).iter().zip(amounts(before)).all(|(&now, before)| now <= before + before / 10)
    }
}

/// Reads the lines of a stream on a thread, and returns a channel that receives them.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    lines
}

/// Returns the addresses in a ready line.
fn addresses(ready: &str) -> Vec<SocketAddr> {
    let urls = ready.strip_prefix("ready ").expect("a ready line").split_whitespace();
    urls.filter_map(|url| {
        let address = url.strip_prefix("http://").or(url.strip_prefix("https://"))?;
        // What stands behind it says what a connection begins with.
        Some(address.split(',').next().unwrap().parse().unwrap())
    })
    .collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that took the place of another one is no child.
        if let Some(process) = self.upgraded {
            kill("KILL", process);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
