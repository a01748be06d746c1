//! Prepares the changes that a reload of the configuration makes to certificates, and checks the
//! flags of ACME.

use std::sync::Arc;

use crate::acme::roots;
use crate::acme::runner::Acme;
use crate::acme::store;
use crate::config::acme::AcmeFlags;
use crate::config::tls::TlsFlags;
use crate::tls::keeper::{self, Tls};
use crate::tls::terms;

/// Validated change of the certificates and of the flags of ACME, which [`Change::publish`]
/// applies.
pub struct Change {
    acme: Option<Arc<Acme>>,
    flags: AcmeFlags,
    ready: Option<keeper::Ready>,
}

impl Change {
    /// Publishes the certificates that were read from files, and applies the flags of ACME. Missing
    /// certificates are then ordered, and failed orders are tried again.
    pub fn publish(self) {
        self.ready.into_iter().for_each(keeper::Ready::publish);
        if let Some(acme) = self.acme {
            acme.apply(self.flags);
        }
    }
}

/// Reads the certificates, and checks the flags, for a reload of the configuration.
///
/// # Errors
///
/// When [`Tls::prepare`] or [`store::check`] fails, or the reload would turn TLS on or off.
pub async fn prepare(
    tls: Option<Arc<Tls>>,
    acme: Option<Arc<Acme>>,
    flags: TlsFlags,
) -> Result<Change, String> {
    if tls.is_some() != flags.is_on() {
        return Err("TLS is turned on and off by a restart only (--tls-cert, --acme)".into());
    }
    let read = move || {
        let ready = tls.map(|tls| tls.prepare(&flags)).transpose()?;
        store::check(&flags.acme, &terms::provider())?;
        Ok(Change { acme, flags: flags.acme, ready })
    };
    // On a thread for blocking work, as the configuration is read.
    let prepared = tokio::task::spawn_blocking(read).await;
    let prepared = prepared.map_err(|failed| format!("the server panicked: {failed}"))?;
    prepared.map_err(|error: anyhow::Error| format!("{error:#}"))
}

/// Checks that the file with root certificates (`--acme-ca`) can be used. Does not check the folder
/// of ACME, which [`store::check`] does.
///
/// # Errors
///
/// When the file cannot be used.
pub fn check_file(flags: &AcmeFlags) -> anyhow::Result<()> {
    flags.acme_ca.as_deref().map_or(Ok(()), |file| roots::config(Some(file), &terms::provider()).map(drop))
}
