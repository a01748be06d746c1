//! File format of recorded requests: comment lines about the fault, and then the bytes
//! that the handler received, with secrets masked. Editors can open it as an `.http`
//! file.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use host_http::message::Message;
use host_http::quote::quoted;
use http::Method;

use crate::files::own_file;
use crate::seed;
use crate::site::version::Label;
use crate::telemetry::redact::SECRET_FIELDS;

/// Suffix of the names of recorded requests.
const SUFFIX: &str = ".fault.http";

/// Number of digits of the time at the start of a file name. The time is in milliseconds since
/// 1970, with leading zeros, so that names sort by time.
const TIME_DIGITS: usize = 13;

/// Largest time with [`TIME_DIGITS`] digits, in the year 2286. It replaces all later times.
const TIME_MAX: u128 = 9_999_999_999_999;

/// Maximum total length of the comment lines of a file, in bytes.
const HEAD_MAX: usize = 64 << 10;

/// Recorded request with the fault that it ended in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Name of the fault.
    pub fault: String,
    /// Cause of the fault, in one line.
    pub cause: String,
    /// Number of the version that was called.
    pub version: u64,
    /// SHA-256 of the version that was called.
    pub sha256: String,
    /// Names of the masked header fields.
    pub masked: Vec<String>,
    /// Bytes that the handler received. Secrets in them may be masked.
    pub message: Message,
    id: String,
    milliseconds: u128,
}

/// Returns whether a file name is the name of a recorded request.
pub fn is_recorded(name: &str) -> bool {
    let starts_with_time =
        name.get(..TIME_DIGITS).is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit()));
    starts_with_time && name.ends_with(SUFFIX)
}

impl Recorded {
    pub(super) fn new(
        message: Message,
        id: &str,
        time: SystemTime,
        label: &Label,
        fault: &'static str,
        cause: &str,
    ) -> Recorded {
        Recorded {
            fault: fault.to_owned(),
            cause: one_line(cause),
            version: label.number,
            sha256: label.sha256.clone(),
            masked: Vec::new(),
            message,
            id: id.to_owned(),
            milliseconds: milliseconds(time),
        }
    }

    /// Returns the file name of the recorded request.
    pub(super) fn name(&self) -> String {
        format!("{:0width$}-{}{SUFFIX}", self.milliseconds, self.id, width = TIME_DIGITS)
    }

    /// Replaces the values of header fields that contain secrets, such as `cookie`, by asterisks of
    /// equal length. Expects `: ` after each field name, as the host writes it.
    pub(super) fn mask(&mut self) {
        let mut head = Vec::with_capacity(self.message.head.len());
        for line in self.message.head.split_inclusive(|&byte| byte == b'\n') {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
            let secret = SECRET_FIELDS.iter().find(|secret| name.eq_ignore_ascii_case(secret.as_bytes()));
            let text = value.trim_ascii_end();
            let (Some(secret), Some(hidden)) = (secret, text.strip_prefix(b": ")) else {
                head.extend_from_slice(line);
                continue;
            };
            head.extend_from_slice(name);
            head.extend_from_slice(b": ");
            head.resize(head.len() + hidden.len(), b'*');
            head.extend_from_slice(value.split_at(text.len()).1);
            if self.masked.iter().all(|masked| masked != secret) {
                self.masked.push((*secret).to_owned());
            }
        }
        self.message.head = head;
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Recorded { fault, cause, version, sha256, masked, .. } = self;
        let masked = if masked.is_empty() { "nothing".into() } else { masked.join(", ") };
        let seed = self.message.seed.map(|seed| format!("# seed: {}\n", seed::format(&seed)));
        let seed = seed.unwrap_or_default();
        let head = format!(
            "# fault: {fault}\n# cause: {cause}\n# version: {version}\n# sha256: {sha256}\n# masked: {masked}\n{seed}\n"
        );
        let mut bytes = head.into_bytes();
        bytes.reserve(self.message.length());
        self.message.pieces().for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Reads and parses the file of a recorded request. `max` is the maximum size of the request in
    /// bytes.
    ///
    /// # Errors
    ///
    /// One line that says why the file cannot be read, or which comment line it lacks.
    pub fn read(path: &Path, max: usize) -> anyhow::Result<Recorded> {
        let bytes = own_file::read_regular(path, max.saturating_add(HEAD_MAX));
        let mut bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        let missing =
            |name| anyhow!("{}: not a recorded request: the line `# {name}` is missing", path.display());
        let start = bytes.get(..HEAD_MAX).unwrap_or(&bytes);
        let end = start.windows(2).position(|pair| pair == b"\n\n").ok_or_else(|| missing("fault:"))?;
        let head = String::from_utf8_lossy(bytes.split_at(end).0).into_owned();
        let value = |name: &'static str| {
            let line = head.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name));
            line.map(|value| value.trim().to_owned()).ok_or_else(|| missing(name))
        };
        let masked = value("masked:")?;
        // Present only if the module draws random bits.
        let seed = value("seed:").ok().map(|seed| seed::parse(&seed)).transpose();
        let seed = seed.map_err(|cause| anyhow!("{}: {cause}", path.display()))?;
        Ok(Recorded {
            fault: value("fault:")?,
            cause: value("cause:")?,
            version: value("version:")?.parse().map_err(|_| missing("version: N"))?,
            sha256: value("sha256:")?,
            masked: masked.split(", ").filter(|name| *name != "nothing").map(str::to_owned).collect(),
            message: Message { seed, ..bytes.split_off(end + 2).into() },
            id: String::new(),
            milliseconds: 0,
        })
    }

    /// Returns the method and the target of the request. The target is escaped for output, and cut
    /// after 200 bytes.
    pub fn request_line(&self) -> (Method, String) {
        let mut words = self.message.head.split(|byte| byte.is_ascii_whitespace());
        let method = words.next().and_then(|method| Method::from_bytes(method).ok()).unwrap_or_default();
        let target = String::from_utf8_lossy(words.next().unwrap_or_default());
        (method, quoted(&target, 200).to_string())
    }
}

fn milliseconds(time: SystemTime) -> u128 {
    // Times before 1970 are written as 0.
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis().min(TIME_MAX)
}

/// Escapes line breaks and other control characters, so that the text fits on one line.
pub(super) fn one_line(text: &str) -> String {
    quoted(text, usize::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Recorded, is_recorded, milliseconds};
    use std::time::{Duration, SystemTime};

    fn recorded(message: &'static [u8]) -> Recorded {
        Recorded {
            fault: "trap".into(),
            cause: "in f".into(),
            version: 3,
            sha256: "00ff".into(),
            masked: Vec::new(),
            message: message.to_vec().into(),
            id: String::new(),
            milliseconds: 0,
        }
    }

    #[test]
    fn secrets_keep_their_length_and_nothing_else_of_them() {
        let mut masked =
            recorded(b"GET /cookie:1 HTTP/1.1\r\nCookie: a=b\r\naccept: x\r\nauthorization: \r\n\r\n");
        masked.mask();
        let expected = "GET /cookie:1 HTTP/1.1\r\nCookie: ***\r\naccept: x\r\nauthorization: \r\n\r\n";
        assert_eq!(masked.message, expected.as_bytes().to_vec().into());
        assert_eq!(masked.masked, ["cookie"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("recorded-{}", std::process::id()));
        let mut kept = recorded(b"GET / HTTP/1.1\r\ncookie: a\r\n\r\n\n\n\xff");
        kept.mask();
        for seed in [None, Some([0x5e; 32])] {
            kept.message.seed = seed;
            std::fs::write(&path, kept.encode()).unwrap();
            assert_eq!(Recorded::read(&path, 1000).unwrap(), kept);
        }
        std::fs::write(&path, "# fault: trap\n\n").unwrap();
        let error = Recorded::read(&path, 1000).unwrap_err().to_string();
        assert!(error.ends_with("not a recorded request: the line `# masked:` is missing"), "{error}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_clock_that_is_wrong_makes_a_name_all_the_same() {
        let epoch = SystemTime::UNIX_EPOCH;
        for time in [epoch - Duration::from_secs(1), epoch, epoch + Duration::from_secs(1 << 60)] {
            let mut recorded = recorded(b"");
            recorded.milliseconds = milliseconds(time);
            assert!(is_recorded(&recorded.name()), "{}", recorded.name());
        }
    }

    #[test]
    fn only_its_own_files_are_taken_for_recorded_ones() {
        assert!(is_recorded(&recorded(b"").name()) && is_recorded("1795334400000-0ff6-1-1.fault.http"));
        for name in ["requests.http", "my.fault.http", "1795334400000.http", "17953344000ü0-1.fault.http"] {
            assert!(!is_recorded(name), "{name}");
        }
    }
}
