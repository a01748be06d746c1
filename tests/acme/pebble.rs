//! Certificate authority for tests: pebble, which the authors of Let's Encrypt have written, and the DNS
//! by which it finds the server. Each has a loopback address of its own, so their ports are fixed.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use super::place::Place;
use crate::harness::wait_until;
use crate::tls::parts::{Authority, NOW, Terms, TlsClient, put_authority};

/// Port at which the authority looks for TLS-ALPN-01, and that for HTTP-01.
pub const TLS: u16 = 5001;
pub const HTTP: u16 = 5002;

/// Port of the directory, and that of the certificate of the authority.
const DIRECTORY: u16 = 14000;
const MANAGEMENT: u16 = 15000;

/// Authority that may run, with a folder for it and for the server.
pub struct Pebble {
    place: Place,
    pub ip: Ipv4Addr,
    /// Issuer of the certificate of the directory.
    authority: Authority,
    dns: SocketAddr,
    running: Option<Child>,
}

/// How the authority behaves.
#[derive(Clone, Copy)]
pub struct Habits {
    /// Seconds for which a certificate is valid.
    pub validity: u64,
    /// Percentage of the nonces that it refuses.
    pub bad_nonces: u8,
    /// Percentage of the domains that it knows already and does not look for again.
    pub reuse: u8,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits { validity: 90 * 24 * 3600, bad_nonces: 5, reuse: 0 }
    }
}

/// Returns an authority that does not run yet. If pebble is not installed, says so past the capture of
/// the tests' output, and returns [`None`].
pub fn pebble() -> Option<Pebble> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    if Command::new("pebble").arg("-h").stderr(Stdio::null()).status().is_err() {
        let what = "\n*** pebble is not there, so a test of ACME is left out; install it: apt-get install pebble ***\n";
        let _ = io::stderr().write_all(what.as_bytes());
        return None;
    }
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let ip = Ipv4Addr::new(127, 64 + high % 128, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let (authority, place) = (Authority::new("directory"), Place::new());
    authority.issue(&[&ip.to_string()], NOW).put(&place.folder, "directory");
    put_authority(&place.folder, "directory-ca.pem", &authority);
    Some(Pebble { dns: answer_names(ip), place, ip, authority, running: None })
}

impl Deref for Pebble {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Pebble {
    /// Returns one that runs.
    pub fn running() -> Option<Pebble> {
        Pebble::with(Habits::default())
    }

    pub fn with(habits: Habits) -> Option<Pebble> {
        let mut pebble = pebble()?;
        pebble.run(habits);
        Some(pebble)
    }

    /// Starts the authority. It knows nothing of before, and has another key.
    pub fn run(&mut self, habits: Habits) {
        let Habits { validity, bad_nonces, reuse } = habits;
        let (ip, path) = (self.ip, |name: &str| self.folder.path(name));
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"{ip}:{DIRECTORY}\", \"managementListenAddress\": \"{ip}:{MANAGEMENT}\", \
             \"certificate\": \"{}\", \"privateKey\": \"{}\", \"httpPort\": {HTTP}, \"tlsPort\": {TLS}, \
             \"certificateValidityPeriod\": {validity}}}}}",
            path("directory.pem"),
            path("directory.key")
        );
        fs::write(self.folder.file("pebble.json"), config).unwrap();
        let mut command = Command::new("pebble");
        command.args(["-config", &path("pebble.json"), "-dnsserver", &self.dns.to_string()]);
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", bad_nonces.to_string());
        command.env("PEBBLE_AUTHZREUSE", reuse.to_string());
        let log = fs::File::create(self.folder.file("pebble.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(command.spawn().unwrap());
        wait_until("pebble listens", || TcpStream::connect((ip, MANAGEMENT)).is_ok());
        wait_until("pebble listens", || TcpStream::connect((ip, DIRECTORY)).is_ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// Returns what the authority has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.file("pebble.log")).unwrap()
    }

    /// Returns the terms of a client that trusts the authority as it runs now.
    pub fn terms(&self) -> Terms {
        let address = (self.ip, MANAGEMENT).into();
        let mut client = Terms::new(&self.authority).connect(address, &self.ip.to_string()).unwrap();
        Terms::trusting(client.ask("GET", "/roots/0").text())
    }

    /// Returns the lines of a configuration: the server listens where the authority looks for TLS.
    pub fn lines(&self, domains: &[&str]) -> String {
        let (ip, domains) = (self.ip, domains.join("', '"));
        format!(
            "control = 'control'\nacme = ['{domains}']\nacme-agree = true\nacme-directory = 'https://{ip}:{DIRECTORY}/dir'\n\
             acme-ca = 'directory-ca.pem'\nacme-dir = 'acme'\nlisten = ['{ip}:{TLS}', '{ip}:{HTTP},redirect']\n"
        )
    }

    /// Connects to the server by the name of a domain.
    pub fn connect(&self, terms: &Terms, domain: &str) -> Result<TlsClient, String> {
        terms.connect((self.ip, TLS).into(), domain)
    }

    /// Waits until the server has a certificate of the authority for a domain.
    pub fn wait_for(&self, terms: &Terms, domain: &str) -> TlsClient {
        let mut client = None;
        wait_until(&format!("a certificate for {domain}"), || {
            client = self.connect(terms, domain).ok();
            client.is_some()
        });
        client.unwrap()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers all questions about addresses with this one, until the tests end.
fn answer_names(ip: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            if let Some(answer) = answer(&question[..length], ip) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// Returns the answer to one question of the DNS (RFC 1035, section 4). There are addresses of IPv4 only.
fn answer(question: &[u8], ip: Ipv4Addr) -> Option<Vec<u8>> {
    let mut end = 12;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    let (name_end, end) = (end + 1, end + 5);
    let is_address = question.get(name_end..end)? == [0, 1, 0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(ip.octets());
    }
    Some(answer)
}
