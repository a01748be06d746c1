//! Prepares what a reload changes of the certificates, and checks the flags of ACME.

use std::sync::Arc;

use crate::acme::roots;
use crate::acme::runner::Acme;
use crate::acme::store;
use crate::config::acme::AcmeFlags;
use crate::config::tls::TlsFlags;
use crate::tls::keeper::{self, Tls};
use crate::tls::terms;

/// Change of the configuration that is ready.
pub struct Change {
    acme: Option<Arc<Acme>>,
    flags: AcmeFlags,
    ready: Option<keeper::Ready>,
}

impl Change {
    /// Publishes certificates, and orders those that are missing. What has failed is tried again.
    pub fn publish(self) {
        self.ready.into_iter().for_each(keeper::Ready::publish);
        if let Some(acme) = self.acme {
            acme.apply(self.flags);
        }
    }
}

/// Prepares what a reload of the configuration changes.
///
/// # Errors
///
/// As [`Tls::prepare`] and [`store::check`], and when TLS is to be turned on or off.
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

/// Checks that the file of authorities can be used, without a look at the folder.
///
/// # Errors
///
/// As [`store::check`].
pub fn check_file(flags: &AcmeFlags) -> anyhow::Result<()> {
    flags.acme_ca.as_deref().map_or(Ok(()), |file| roots::config(Some(file), &terms::provider()).map(drop))
}
