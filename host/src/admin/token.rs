//! Bearer token with which a client at the address of `--admin` proves that it may use the API.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use crate::regular_file;

/// Minimum length of a token in bytes. Shorter tokens could be guessed.
const TOKEN_MIN: usize = 16;

/// Description of the content that a token file must have, for error messages.
const EXPECTED: &str = "one line of at least 16 visible ASCII characters";

/// Maximum size of a token file in bytes.
const FILE_MAX: usize = 4096;

/// Mode bits that give access to users other than the owner of a file.
const OTHERS: u32 = 0o077;

/// Token in a file. The file is read for each request, so replacing the file replaces the token.
#[derive(Clone)]
pub struct Token(PathBuf);

impl Token {
    /// Returns the token in the file at `path`. Checks that the file contains one.
    ///
    /// # Errors
    ///
    /// Why the file cannot be used.
    pub fn new(path: &Path) -> anyhow::Result<Token> {
        let token = Token(path.to_owned());
        token
            .read()
            .with_context(|| format!("cannot use the token file {} (--admin-token)", path.display()))?;
        Ok(token)
    }

    /// Returns a warning if other users can read or change the token file.
    pub fn doubt(path: &Path) -> Option<String> {
        let mode = path.metadata().ok()?.mode() & 0o7777;
        (mode & OTHERS != 0).then(|| {
            let path = path.display();
            format!(
                "the token file {path} is open to other users (mode {mode:04o}, --admin-token); close it: chmod 600 {path}"
            )
        })
    }

    fn read(&self) -> anyhow::Result<String> {
        let text = regular_file::read_text(&self.0, FILE_MAX).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!("there is no such file; expected one with {EXPECTED}"),
            ErrorKind::PermissionDenied => {
                anyhow!("this user may not read it; change its mode or its owner")
            }
            _ => anyhow!("{error}; expected a file with {EXPECTED}"),
        })?;
        let token = text.trim();
        let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.len() < TOKEN_MIN || !is_plain {
            bail!("expected {EXPECTED}, without spaces");
        }
        Ok(token.to_owned())
    }

    /// Returns whether the header `authorization` contains the token. Fails if the token file
    /// cannot be used.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> anyhow::Result<bool> {
        let token = self.read()?;
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Ok(false) };
        let given = value.to_str().ok().and_then(|value| value.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        // Compares hashes, so that the time of the comparison tells nothing about the token.
        Ok(given.is_some_and(|(_, given)| Sha256::digest(given.trim()) == Sha256::digest(&token)))
    }
}
