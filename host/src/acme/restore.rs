//! Writes a certificate that is in use back into the folder of ACME when its file is damaged or gone,
//! so that a restart serves it.

use std::path::Path;

use tracing::warn;

use crate::acme::store::Store;
use crate::config::acme::Domain;
use crate::tls::certificate::{Certificate, KeptText};
use crate::tls::keeper::Tls;

/// Writes the certificate of a domain back, if one is in use that belongs into this folder, and its
/// file cannot be used. A file with another certificate that can be used is left as it is.
pub(super) fn restore(domain: &Domain, tls: &Tls, store: &Store) {
    let file = store.file(domain);
    let Some(Certificate { pair, kept: Some(KeptText(text)), .. }) = tls.of_domain(domain) else { return };
    if pair.cert != file || is_good(domain, &file, tls) {
        return;
    }
    let shown = file.display();
    match store.save(domain, &text) {
        Ok(()) => warn!(
            %domain,
            file = %shown,
            "the file of a certificate by ACME was damaged or gone: the certificate in use was written back"
        ),
        Err(error) => {
            warn!(%domain, "the certificate in use cannot be written back, and a restart orders another: {error:#}")
        }
    }
}

fn is_good(domain: &Domain, file: &Path, tls: &Tls) -> bool {
    matches!(Certificate::read_domain(domain, file, tls.provider()), Ok(Some(_)))
}
