//! `host dev --https`: creates a certificate authority for this machine and a certificate of this
//! authority, keeps both in a private folder, and says how to trust the authority. Never overwrites
//! files of other programs.

use std::env;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use clap::ValueHint;
use tracing::{info, warn};

use crate::cli::serve::Serve;
use crate::files::private_folder::PrivateFolder;
use crate::net::address;
use crate::telemetry::log::{self, Format};
use crate::tls::local::{Authority, is_local};

/// Name of the file with the certificate of the authority.
const AUTHORITY: &str = "ca.pem";

/// Name of the file with the private key of the authority.
const AUTHORITY_KEY: &str = "ca.key";

/// Name of the file with the certificate of the server and its private key: one file, so that both
/// change together.
const CERTIFICATE: &str = "localhost.pem";

/// Name of the lock file, which is locked while files are written.
const LOCK: &str = "lock";

/// Maximum size in bytes of a file that is read from the folder.
const FILE_MAX: usize = 64 << 10;

/// Mode bit of a folder in which users may remove their own files only.
const STICKY: u32 = 0o1000;

/// Flags of `host dev` for https.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct Https {
    /// Serve https, with a certificate for localhost, 127.0.0.1 and ::1. The first use creates the
    /// authority of the certificate, for this user alone; the terminal says how to trust the
    /// authority
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    https: bool,

    /// Folder of the authority and the certificate of --https, used for nothing else [default:
    /// ~/.local/share/host-dev-ca, or the same below $XDG_DATA_HOME]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    https_dir: Option<PathBuf>,
}

impl Https {
    /// Returns the file for the certificate of the server and its key; [`None`] without `--https`.
    ///
    /// # Errors
    ///
    /// When `--https-dir` is given without `--https`, or the user has no folder for data.
    pub(super) fn certificate(&self) -> Result<Option<PathBuf>, String> {
        match self.https_dir {
            Some(_) if !self.https => return Err("--https-dir needs --https with it".into()),
            None if !self.https => return Ok(None),
            _ => {}
        }
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = || absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        let folder = self.https_dir.clone().or_else(|| Some(data()?.join("host-dev-ca")));
        let folder =
            folder.ok_or("neither $XDG_DATA_HOME nor $HOME names a folder; expected --https-dir DIR");
        Ok(Some(folder?.join(CERTIFICATE)))
    }

    /// Creates the authority and the certificate if they are missing, and renews the certificate if
    /// it is old. Does nothing without `--https`.
    ///
    /// # Errors
    ///
    /// One line that names the folder, what was found in it, such as an authority that has expired,
    /// and what was expected.
    pub(super) fn prepare(&self, args: &Serve) -> anyhow::Result<()> {
        let Some(file) = self.certificate().map_err(|error| anyhow!(error))? else { return Ok(()) };
        let folder = file.parent().unwrap_or(Path::new("."));
        let hosts = args.listen.iter().filter_map(|address| address::host(address));
        let (local, others): (Vec<_>, Vec<_>) =
            hosts.map(str::to_ascii_lowercase).partition(|host| is_local(host));
        for host in others {
            warn!(
                "browsers that do not come by localhost warn: the certificate of --https is not for {host}"
            );
        }
        let context = || format!("cannot use the folder {} (--https-dir)", folder.display());
        let is_new = keep(folder, &local).with_context(context)?;
        let authority = folder.join(AUTHORITY);
        match (is_new, args.log_format) {
            (true, Format::Text) => log::tell(&how_to_trust(&authority)),
            _ => info!("https by the authority {}, which clients may trust", authority.display()),
        }
        Ok(())
    }
}

/// Creates the authority and the certificate in the folder if they are missing, and renews the
/// certificate if it is old. Returns whether the authority is new.
fn keep(folder: &Path, names: &[String]) -> anyhow::Result<bool> {
    let mut folder = PrivateFolder::open(folder)?;
    if !folder.is_closed {
        // One that all users share, such as /tmp, has to stay open.
        if folder.path().metadata()?.mode() & STICKY != 0 {
            bail!(
                "all users share it; expected a folder that is used for nothing else, such as a new one below it"
            );
        }
        bail!("other users may enter it; expected the mode 0700 (chmod 700 {})", folder.path().display());
    }
    // Two that begin at once would each make an authority.
    folder.lock(LOCK.as_ref())?;
    let kept = keep_locked(&folder, names);
    folder.remove_lock();
    kept
}

fn keep_locked(folder: &PrivateFolder, names: &[String]) -> anyhow::Result<bool> {
    let own = [AUTHORITY, AUTHORITY_KEY, CERTIFICATE];
    folder.remove_litter(|name| own.contains(&name))?;
    let foreign = folder.names(|name| !own.contains(&name) && ![LOCK, ".", ".."].contains(&name))?;
    if let Some(name) = foreign.first() {
        bail!("it holds `{name}`; expected a folder that is used for nothing else");
    }
    let now = SystemTime::now();
    let (authority, is_new) = match (read(folder, AUTHORITY)?, read(folder, AUTHORITY_KEY)?) {
        (Some(cert), Some(key)) => {
            let context = || format!("{AUTHORITY} and {AUTHORITY_KEY} are no authority of host dev");
            let authority = Authority::read(&cert, &key, now).with_context(context)?;
            if !authority.is_for_servers {
                warn!(
                    "the authority of --https was made by an older host dev, and can vouch for mail, too; to begin with a new \
                     one, remove it from what trusts it, and remove the folder {}",
                    folder.path().display()
                );
            }
            (authority, false)
        }
        (None, None) if read(folder, CERTIFICATE)?.is_none() => {
            let authority = Authority::new(now)?;
            write(folder, AUTHORITY_KEY, &authority.key())?;
            write(folder, AUTHORITY, authority.cert())?;
            (authority, true)
        }
        (cert, _) => {
            let missing = if cert.is_none() { AUTHORITY } else { AUTHORITY_KEY };
            bail!(
                "{missing} is missing beside its other files; put it back, or remove the folder to begin with a new authority"
            );
        }
    };
    let names = match read(folder, CERTIFICATE)? {
        None => Some(names.to_vec()),
        Some(issued) => authority.renews(&issued, names, now).with_context(|| {
            format!("{CERTIFICATE} is no certificate of host dev with its key; remove it to get a new one")
        })?,
    };
    if let Some(names) = names {
        write(folder, CERTIFICATE, &authority.issue(&names, now)?)?;
    }
    Ok(is_new)
}

/// Reads a file of the folder; [`None`] if the file does not exist.
fn read(folder: &PrivateFolder, name: &str) -> anyhow::Result<Option<String>> {
    match folder.read(name, FILE_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {name}")),
    }
}

fn write(folder: &PrivateFolder, name: &str, text: &str) -> anyhow::Result<()> {
    folder.write_durably(name, text.as_bytes()).with_context(|| format!("cannot write {name}"))
}

/// Returns a text that says how to trust the authority.
fn how_to_trust(authority: &Path) -> String {
    // Quoted, so that a shell takes the path as one word.
    let file = format!("'{}'", authority.display().to_string().replace('\'', r"'\''"));
    format!(
        "Browsers warn of the certificate for localhost until they trust its authority, which is new. You need not trust it.
It can vouch for servers at localhost and loopback addresses only, and its key stays in its folder. To trust it:
  curl               curl --cacert {file} URL
  Debian, Ubuntu     sudo install -m 644 {file} /usr/local/share/ca-certificates/host-dev.crt && sudo update-ca-certificates
  Chromium           certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n host-dev -i {file}
  Firefox            the same with -d sql: and the folder of the profile (about:profiles), or in its settings
  macOS              security add-trusted-cert -r trustRoot -p ssl -k ~/Library/Keychains/login.keychain-db {file}
"
    )
}
