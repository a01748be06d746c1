//! The folder of ACME: the account, the plans, and for each domain one file with its certificate
//! and key. Each file is replaced as a whole, so a certificate always matches its key. Only the
//! process that holds the lock of the folder orders certificates; other processes only read the
//! files.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use instant_acme::AccountCredentials;
use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::acme::plan::Saved;
use crate::acme::roots;
use crate::config::acme::{AcmeFlags, Domain, name_of_file};
use crate::files::private_folder::PrivateFolder;

/// Name of the file with the account.
const ACCOUNT: &str = "account.json";

/// Name of the file with the plans.
const PLANS: &str = "plans.json";

/// Name of the lock file.
const LOCK: &str = "lock";

/// Name of the temporary file that is written to check for free disk space.
const TRIED: &str = "room";

/// Size of the temporary file in bytes, which is enough for a certificate.
const ROOM: usize = 64 << 10;

/// Maximum size of the file with the account, in bytes.
pub const ACCOUNT_MAX: usize = 64 << 10;

/// Maximum size of the file with the plans, in bytes.
pub const PLANS_MAX: usize = 1 << 20;

/// Mode bits that give access to users other than the owner.
const OTHERS: u32 = 0o077;

/// Folder for one certificate authority (`--acme-directory`), inside the folder `--acme-dir`.
pub struct Store {
    folder: PrivateFolder,
}

/// Account with the addresses that the authority knows.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) contact: Vec<String>,
    pub(super) credentials: AccountCredentials,
}

impl Store {
    /// Opens the folder for the authority that the flags name, or creates the folder.
    ///
    /// # Errors
    ///
    /// One line that names the folder, what was found, and what was expected.
    pub fn open(flags: &AcmeFlags) -> anyhow::Result<Store> {
        let Some(path) = &flags.acme_dir else {
            bail!("--acme needs a folder for its keys; expected --acme-dir DIR or --state-dir DIR");
        };
        let context = |path: &Path| format!("cannot use the folder {} (--acme-dir)", path.display());
        open(path).with_context(|| context(path))?;
        let path = path.join(flags.name_of_directory());
        let folder = open(&path).with_context(|| context(&path))?;
        Ok(Store { folder })
    }

    /// Locks the folder against other processes.
    ///
    /// # Errors
    ///
    /// When another process holds the lock, or the lock file cannot be used.
    pub(super) fn lock(&mut self) -> anyhow::Result<()> {
        self.folder.lock(OsStr::new(LOCK))
    }

    /// Returns the path of the folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the file with the certificate and the key of a domain.
    pub(super) fn file(&self, domain: &Domain) -> PathBuf {
        self.folder.path_of(&name_of_file(domain))
    }

    /// Checks, before an order, that the disk has enough free space for a certificate.
    ///
    /// # Errors
    ///
    /// When a file of this size cannot be written.
    pub(super) fn check_room(&self) -> anyhow::Result<()> {
        let tried =
            self.folder.write_durably(TRIED, &vec![b' '; ROOM]).and_then(|()| self.folder.remove(TRIED));
        tried.with_context(|| format!("cannot write to {}", self.folder.path().display()))
    }

    /// Returns the saved account; [`None`] if there is none, or its file cannot be used.
    pub(super) fn account(&self) -> Option<Account> {
        let read = match self.folder.read(ACCOUNT, ACCOUNT_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            read => read.map_err(anyhow::Error::from),
        };
        // What it says instead is not told: it may be a part of the key.
        let parsed = read.and_then(|bytes| {
            serde_json::from_slice(&bytes).map_err(|_| anyhow!("it is no account in JSON"))
        });
        match parsed {
            Ok(account) => Some(account),
            Err(error) => {
                let file = self.folder.path_of(ACCOUNT).display().to_string();
                warn!(file, "the account of ACME cannot be used: {error:#}; another one takes its place");
                None
            }
        }
    }

    /// Writes the account.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn save_account(&self, account: &Account) -> anyhow::Result<()> {
        let written = self.folder.write_durably(ACCOUNT, &serde_json::to_vec_pretty(account)?);
        written.with_context(|| format!("cannot write {}", self.folder.path_of(ACCOUNT).display()))
    }

    /// Removes the account, because the authority does not know it.
    pub(super) fn forget_account(&self) {
        if let Err(error) = self.folder.remove(ACCOUNT) {
            warn!(%error, "cannot remove the account of ACME, which the authority does not know");
        }
    }

    /// Returns the saved plans. If their file cannot be used, logs a warning and returns empty
    /// plans.
    pub(super) fn plans(&self) -> Saved {
        let read = match self.folder.read(PLANS, PLANS_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Saved::default(),
            read => read.map_err(anyhow::Error::from),
        };
        let parsed = read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        parsed.unwrap_or_else(|error| {
            let file = self.folder.path_of(PLANS).display().to_string();
            warn!(
                file,
                "the plans of ACME cannot be used: {error:#}; orders that have failed are tried at once"
            );
            Saved::default()
        })
    }

    /// Writes the plans.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn save_plans(&self, plans: &Saved) -> anyhow::Result<()> {
        let written = self.folder.write_durably(PLANS, &serde_json::to_vec(plans)?);
        written.with_context(|| format!("cannot write {}", self.folder.path_of(PLANS).display()))
    }

    /// Writes the file with the certificate and the key of a domain. `text` contains both in PEM.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn save(&self, domain: &Domain, text: &[u8]) -> anyhow::Result<()> {
        let written = self.folder.write_durably(&name_of_file(domain), text);
        written.with_context(|| format!("cannot write {}", self.file(domain).display()))
    }
}

/// Checks that the folder of ACME and the file `--acme-ca` can be used. Checks nothing if ACME is
/// off.
///
/// # Errors
///
/// One line that names the file or folder, what was found, and what was expected.
pub fn check(flags: &AcmeFlags, provider: &Arc<CryptoProvider>) -> anyhow::Result<()> {
    if flags.is_on() {
        roots::config(flags.acme_ca.as_deref(), provider)?;
        Store::open(flags)?;
    }
    Ok(())
}

/// Opens a folder, or creates it. Returns an error if other users have access to it.
fn open(path: &Path) -> anyhow::Result<PrivateFolder> {
    let folder = PrivateFolder::open(path)?;
    let mode = path.metadata()?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        bail!(
            "others can look into it (its mode is {mode:04o}; expected 0700, because it has private keys): chmod 700 {}",
            path.display()
        );
    }
    Ok(folder)
}
