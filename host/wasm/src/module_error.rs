//! Reads a file as a module, and defines why a file is refused as a handler.

use std::borrow::Cow;
use std::time::Duration;

use bytesize::ByteSize;
use host_http::quote::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wasmparser::{BinaryReader, BinaryReaderError};

use crate::name::MESSAGE_MAX;

/// Length of the magic number and the version at the start of a WebAssembly binary, in bytes.
const HEAD: usize = 8;

/// Maximum number of sections that [`breaks_off`] checks. Compilers write about twenty.
const SECTIONS_MAX: usize = 1000;

/// Why a file is refused as a handler.
#[derive(Debug, Error, Serialize, Deserialize)]
pub enum ModuleError {
    /// The file is empty.
    #[error("it is empty; expected a WebAssembly module")]
    Empty,
    /// The file is longer than `--module-max`.
    #[error("it is larger than {limit} bytes (the limit is --module-max)")]
    TooLarge {
        /// Value of `--module-max` in bytes.
        limit: usize,
    },
    /// The file is text, but not WebAssembly text.
    #[error(
        "it is a text file that is not WebAssembly text; expected a module that begins with \\0asm, or with (module"
    )]
    OtherText,
    /// The file is neither a WebAssembly binary nor text.
    #[error("it is not WebAssembly: it begins with the bytes {start}; expected \\0asm")]
    NotWasm {
        /// First bytes of the file, in hexadecimal.
        start: String,
    },
    /// The file is WebAssembly text with a mistake.
    #[error("its WebAssembly text is wrong: {0}")]
    Text(String),
    /// The binary ends inside of its head or of a section.
    #[error("it is not a valid WebAssembly module: the file is incomplete, it breaks off at byte {length}")]
    Incomplete {
        /// Length of the file in bytes.
        length: usize,
    },
    /// The binary is damaged, or uses a proposal that is off.
    #[error("it is not a valid WebAssembly module: {0}")]
    Invalid(String),
    /// The module is valid, but needs more memory or tables than an instance may have.
    #[error("it needs more than an instance may have (--memory-max, --table-max): {0}")]
    TooDemanding(String),
    /// The module is valid, but past a limit of the engine that no flag changes.
    #[error("it is past a fixed limit of the engine: {0}")]
    PastLimit(String),
    /// The system cannot map the code, which is not the file's fault.
    #[error("the system cannot map its code: {0}")]
    NotMapped(String),
    /// The module is valid, but has more functions, types or other parts than any program needs.
    #[error("it has more than {limit} {what} (this limit is fixed)")]
    TooComplex {
        /// Name of the part, in the plural, such as `functions`.
        what: String,
        /// Maximum number of such parts in a module.
        limit: u64,
    },
    /// Compiling reached the limit on memory, `--compile-memory-max`.
    #[error("compiling it takes more than {} of memory (--compile-memory-max)", ByteSize(*.limit as u64))]
    CompileMemory {
        /// Value of `--compile-memory-max` in bytes.
        limit: usize,
    },
    /// Compiling reached the memory that the system has left, which is less than
    /// `--compile-memory-max`.
    #[error(
        "compiling it takes more than the {} of memory that the system or its cgroup has left (--compile-memory-max allows {})",
        ByteSize(*.limit as u64),
        ByteSize(*.flag as u64)
    )]
    CompileMemoryLeft {
        /// Memory that the system or its cgroup has left, in bytes.
        limit: usize,
        /// Value of `--compile-memory-max` in bytes.
        flag: usize,
    },
    /// Compiling reached the limit on time, `--compile-timeout`.
    #[error("compiling it takes longer than {} (--compile-timeout)", humantime::format_duration(*.limit))]
    CompileTime {
        /// Value of `--compile-timeout`, which bounds the elapsed time and the CPU time of each
        /// core.
        limit: Duration,
    },
    /// The compile process was killed from outside, probably by the kernel because memory ran out.
    #[error(
        "the compiler was killed, most likely by the kernel because memory ran out (its own limit is {}, --compile-memory-max; the machine or the cgroup may have less)",
        ByteSize(*.limit as u64)
    )]
    CompilerKilled {
        /// Limit on the memory of the compile process, in bytes.
        limit: usize,
    },
    /// The compiler failed, which it should not do for any file.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// No compile process could be started, which is not the file's fault.
    #[error("cannot start a compile process: {0}")]
    NoCompiler(String),
    /// The compiled code is longer than `--keep-bytes`.
    #[error("its code is {} long, more than {} (--keep-bytes)", ByteSize(*.size as u64), ByteSize(*.limit as u64))]
    CodeTooLarge {
        /// Size of the code in bytes.
        size: usize,
        /// Value of `--keep-bytes` in bytes.
        limit: usize,
    },
    /// The module is valid, but has more mutable globals than are reset after a request.
    #[error("it has {found} globals that can change; expected at most {limit}")]
    TooManyGlobals {
        /// Number of mutable globals of the module.
        found: usize,
        /// Maximum number of mutable globals.
        limit: usize,
    },
    /// An export of the contract is missing.
    #[error("it has no export `{name}`; expected {expected}")]
    ExportMissing {
        /// Name of the export.
        name: String,
        /// Type that the contract requires.
        expected: String,
    },
    /// An export has another type than the contract requires.
    #[error("its export `{name}` is {found}; expected {expected}")]
    ExportType {
        /// Name of the export.
        name: String,
        /// Type that the contract requires.
        expected: String,
        /// Type that the export has.
        found: String,
    },
    /// An import is not part of the contract.
    #[error("it imports `{name}` from `{module}`, which is not offered; the imports offered are {offered}")]
    ImportUnknown {
        /// Module name of the import.
        module: String,
        /// Own name of the import.
        name: String,
        /// List of the imports that are offered, as text.
        offered: String,
    },
    /// An import is declared with another type than the contract offers.
    #[error("it imports `{name}` from `{module}` as {found}; expected {expected}")]
    ImportType {
        /// Module name of the import.
        module: String,
        /// Own name of the import.
        name: String,
        /// Type of the import that is offered.
        expected: String,
        /// Type of the import that the module declares.
        found: String,
    },
    /// The binary is a damaged component, or uses a proposal that is off.
    #[error("it is not a valid WebAssembly component: {0}")]
    InvalidComponent(String),
    /// The component imports what is not granted.
    #[error("needs {}: not granted", .names.join(", "))]
    NotGranted {
        /// Names of the imports.
        names: Vec<String>,
    },
    /// What the component imports is granted with other types.
    #[error("it does not fit what is granted: {0}")]
    Unfit(String),
    /// The module's initial memory is larger than an instance may have.
    #[error(
        "its memory starts at {minimum} bytes, more than the {limit} bytes an instance may have (--memory-max)"
    )]
    MemoryTooLarge {
        /// Initial size of the memory in bytes.
        minimum: u64,
        /// Value of `--memory-max` in bytes.
        limit: usize,
    },
}

impl ModuleError {
    /// Returns whether the file is valid WebAssembly, but does not meet the contract between host
    /// and module.
    pub fn is_about_the_contract(&self) -> bool {
        use ModuleError as E;
        matches!(
            self,
            E::ExportMissing { .. }
                | E::ExportType { .. }
                | E::MemoryTooLarge { .. }
                | E::ImportUnknown { .. }
                | E::ImportType { .. }
                | E::NotGranted { .. }
                | E::Unfit(_)
        )
    }

    /// Returns whether a later attempt with the same file may succeed.
    pub fn is_passing(&self) -> bool {
        use ModuleError as E;
        matches!(
            self,
            E::NotMapped(_)
                | E::NoCompiler(_)
                | E::CompilerKilled { .. }
                | E::CompileMemoryLeft { .. }
                | E::CompileTime { .. }
        )
    }
}

/// Classifies an error of loading the code of a valid module: it exceeds the limits on memory and
/// tables, or another limit of the engine, or the system refused it.
pub(super) fn not_loaded(error: &wasmtime::Error) -> ModuleError {
    let cause = one_line(&format!("{error:#}"));
    let is_of_pool = ["memor", "table"].iter().any(|part| cause.contains(part));
    match error.root_cause().is::<std::io::Error>() {
        true => ModuleError::NotMapped(cause),
        false if is_of_pool => ModuleError::TooDemanding(cause),
        false => ModuleError::PastLimit(cause),
    }
}

impl From<BinaryReaderError> for ModuleError {
    fn from(error: BinaryReaderError) -> ModuleError {
        ModuleError::Invalid(one_line(&error))
    }
}

/// Returns the file as a binary of either kind, converted if it is text.
///
/// # Errors
///
/// [`ModuleError`] says what the file is instead.
pub(super) fn read(file: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    if file.is_empty() {
        return Err(ModuleError::Empty);
    }
    let binary = match wat::Detect::from_bytes(file) {
        wat::Detect::WasmBinary => Cow::Borrowed(file),
        wat::Detect::WasmText => {
            wat::parse_bytes(file).map_err(|error| ModuleError::Text(one_line(&error)))?
        }
        wat::Detect::Unknown if is_text(file) => return Err(ModuleError::OtherText),
        wat::Detect::Unknown => {
            let start: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return Err(ModuleError::NotWasm { start: start.join(" ") });
        }
    };
    if breaks_off(&binary) { Err(ModuleError::Incomplete { length: binary.len() }) } else { Ok(binary) }
}

/// Returns whether a binary ends inside of its head or of one of its first sections.
fn breaks_off(binary: &[u8]) -> bool {
    let Some((_, sections)) = binary.split_at_checked(HEAD) else {
        return true;
    };
    let mut reader = BinaryReader::new(sections, HEAD);
    for _ in 0..SECTIONS_MAX {
        if reader.eof() {
            return false;
        }
        let length = reader.read_u8().and_then(|_| reader.read_var_u32());
        match length.map(|length| reader.read_bytes(length as usize)) {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return true,
            // Only a length that is cut ends with the file.
            Err(_) => return reader.eof(),
        }
    }
    false
}

/// Returns whether a file is UTF-8 without control characters other than whitespace.
fn is_text(file: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || c.is_ascii_whitespace();
    std::str::from_utf8(file).is_ok_and(|text| text.chars().all(plain))
}

/// Shortens an error message of several lines to its first line and the position of the mistake,
/// such as `expected ... (at 1:12)`.
pub(super) fn one_line(message: &impl ToString) -> String {
    let text = message.to_string();
    let mut lines = text.lines().map(str::trim);
    // An empty message has no first line, and stays empty.
    let what = quoted(lines.next().unwrap_or(""), MESSAGE_MAX);
    match lines.find_map(|line| line.strip_prefix("--> ")) {
        Some(place) => format!("{what} (at {})", quoted(place.trim_start_matches("<anon>:"), MESSAGE_MAX)),
        None => what.to_string(),
    }
}
