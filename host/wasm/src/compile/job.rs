//! The messages between the server and a compile process: one job and one answer. Each
//! is a JSON header with its length in front, and the bytes that the header announces.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::inspect::Anatomy;
use crate::instrument::Reset;
use crate::kind::Kind;
use crate::module_error::ModuleError;

/// How much the compiler optimises. Code of both efforts gives equal results; only the
/// depth of recursion that fits the stack may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    /// No optimisation, and single-pass register allocation: about half the compile time.
    Quick,
    /// Full optimisation.
    Thorough,
}

/// How much CPU a compile process may take from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    /// A swap or a command waits for the result. Uses several cores, at a slightly lower
    /// priority than the serving threads.
    Awaited,
    /// Better code for a version that serves already. Uses one core at the lowest
    /// priority.
    Idle,
}

/// The header of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) work: Work,
    /// Most private memory of the process, in bytes.
    pub(super) memory_max: usize,
    /// Most CPU time of all threads, in whole seconds.
    pub(super) cpu_seconds: u64,
    /// Length of the file that follows, in bytes.
    pub(super) file: usize,
}

/// What to do with the file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Compile the file.
    Compile { effort: Effort, priority: Priority },
    /// List the parts of the file.
    Inspect,
}

/// The header of an answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The file was compiled. `code` bytes of code and `data` bytes of data follow.
    Compiled { kind: Kind, reset: Option<Reset>, code: usize, data: usize },
    /// The file was refused.
    Refused(ModuleError),
    /// The parts of the file.
    Inspected(Box<Anatomy>),
}

/// Result of compiling a file.
pub(crate) struct Compiled {
    pub(crate) kind: Kind,
    /// How to reset an instance after a request; [`None`] if that is impossible.
    pub(crate) reset: Option<Reset>,
    /// The machine code in wasmtime's format.
    pub(crate) code: Vec<u8>,
    /// Content of the data segments that were taken out of the module.
    pub(crate) data: Vec<u8>,
}

/// Maximum length of a header in bytes: enough for the [`Anatomy`] of a module at the structural
/// limits.
const HEADER_MAX: u64 = 64 << 20;

/// Encodes a header with its length.
pub(super) fn header(content: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(content)?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

pub(super) fn read_header<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let json = read_bytes(from, header_length(length)?)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Decodes and checks the length of a header.
pub(super) fn header_length(bytes: [u8; 8]) -> io::Result<usize> {
    let length = u64::from_le_bytes(bytes);
    match usize::try_from(length) {
        Ok(known) if length <= HEADER_MAX => Ok(known),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the header is {length} bytes long; expected at most {HEADER_MAX}"),
        )),
    }
}

/// Reads exactly `length` bytes.
pub(super) fn read_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::{Effort, Job, Priority, Work, header, read_header};

    #[test]
    fn a_job_is_read_as_written_and_a_broken_one_is_an_error() {
        let work = Work::Compile { effort: Effort::Quick, priority: Priority::Idle };
        let job = Job { work, memory_max: 1 << 20, cpu_seconds: 7, file: 3 };
        let bytes = header(&job).unwrap();
        let read: Job = read_header(&mut &bytes[..]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{job:?}"));
        for length in 0..bytes.len() {
            assert!(read_header::<Job>(&mut &bytes[..length]).is_err(), "{length}");
        }
        assert!(read_header::<Job>(&mut &[0xff; 64][..]).is_err());
    }
}
