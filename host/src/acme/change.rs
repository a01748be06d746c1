//! Checks the flags of ACME, at the start and for a reload.

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
/// As [`keeper::prepare`] and [`store::check`].
pub async fn prepare(
    tls: Option<Arc<Tls>>,
    acme: Option<Arc<Acme>>,
    flags: TlsFlags,
) -> Result<Change, String> {
    let ready = keeper::prepare(tls, &flags).await?;
    let of_acme = flags.acme.clone();
    let checked = tokio::task::spawn_blocking(move || store::check(&of_acme, &terms::provider())).await;
    checked
        .map_err(|failed| format!("the server panicked: {failed}"))?
        .map_err(|error| format!("{error:#}"))?;
    Ok(Change { acme, flags: flags.acme, ready })
}

/// Checks that the file of authorities can be used, without a look at the folder.
///
/// # Errors
///
/// As [`store::check`].
pub fn check_file(flags: &AcmeFlags) -> anyhow::Result<()> {
    flags.acme_ca.as_deref().map_or(Ok(()), |file| roots::config(Some(file), &terms::provider()).map(drop))
}
