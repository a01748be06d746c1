//! What the server and a compile process say to each other: one job and one
//! answer, each a header of JSON and the bytes that it announces.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::inspect::Anatomy;
use crate::instrument::PutBack;
use crate::module::ModuleError;

/// How hard the compiler tries. Code of either effort computes the same; only
/// how deep a recursion fits the stack may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effort {
    /// No optimisation and single-pass register allocation: about half the time.
    Quick,
    /// The best code.
    Thorough,
}

/// Which processor time a compile process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    /// A swap or a command waits for the result: all cores, a little nicer than
    /// the threads that serve.
    Awaited,
    /// Better code for a version that serves already: one core, while no other
    /// thread of the machine wants it.
    Idle,
}

/// What the server asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) work: Work,
    /// In bytes.
    pub(super) memory_max: usize,
    /// Most processor time of all threads, in whole seconds.
    pub(super) cpu_seconds: u64,
    /// Length of the file that follows, in bytes.
    pub(super) file: usize,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Compile it.
    Compile { effort: Effort, priority: Priority },
    /// Tell what is in it.
    Inspect,
}

/// What a child answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// So many bytes of code follow, and then so many of data.
    Compiled { put_back: Option<PutBack>, code: usize, data: usize },
    /// The file is no handler.
    Refused(ModuleError),
    /// What is in the file.
    Inspected(Box<Anatomy>),
}

/// A compiled file.
pub(crate) struct Compiled {
    /// How an instance is put back after a request, unless a request may change
    /// what cannot be put back.
    pub(crate) put_back: Option<PutBack>,
    /// wasmtime's form of a compiled module.
    pub(crate) code: Vec<u8>,
    /// The bytes of the data segments that were taken out of the module.
    pub(crate) data: Vec<u8>,
}

/// Longest header, in bytes. An [`Anatomy`] of a module at the structural bounds
/// is the longest.
const HEADER_MAX: u64 = 64 << 20;

pub(super) fn header(header: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(header)?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

pub(super) fn write_header(to: &mut impl Write, of: &impl Serialize) -> io::Result<()> {
    to.write_all(&header(of)?)
}

pub(super) fn read_header<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let json = read_bytes(from, header_length(length)?)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Returns the length of a header, from the bytes in front of it.
pub(super) fn header_length(bytes: [u8; 8]) -> io::Result<usize> {
    let length = u64::from_le_bytes(bytes);
    match usize::try_from(length) {
        Ok(known) if length <= HEADER_MAX => Ok(known),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a header of {length} bytes"))),
    }
}

/// Reads exactly this many bytes.
pub(super) fn read_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::{Effort, Job, Priority, Work, read_header, write_header};

    #[test]
    fn a_job_is_read_as_it_was_written_and_a_broken_one_is_an_error() {
        let work = Work::Compile { effort: Effort::Quick, priority: Priority::Idle };
        let job = Job { work, memory_max: 1 << 20, cpu_seconds: 7, file: 3 };
        let mut bytes = Vec::new();
        write_header(&mut bytes, &job).unwrap();
        let read: Job = read_header(&mut &bytes[..]).unwrap();
        assert_eq!(format!("{read:?}"), format!("{job:?}"));
        for length in 0..bytes.len() {
            assert!(read_header::<Job>(&mut &bytes[..length]).is_err(), "{length}");
        }
        assert!(read_header::<Job>(&mut &[0xff; 64][..]).is_err());
    }
}
