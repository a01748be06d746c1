//! Logs why a TLS handshake has failed: at the level debug, and for the certificate of a client, which
//! an operator has to mend, at the level warn.

use std::io;

use host_http::client_net::Peer;
use rustls::{CertificateError, Error};
use tracing::{debug, warn};

use crate::serve::seldom::Seldom;

/// Bound on the log lines about certificates of clients.
static REFUSED: Seldom = Seldom::new();

/// Logs why a handshake has failed.
pub(super) fn tell(peer: Peer, error: &io::Error) {
    debug!(%peer, %error, "TLS handshake failed");
    let found = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    if let Some(cause) = found.and_then(of_client)
        && let Some(left_out) = REFUSED.turn()
    {
        warn!(
            %peer,
            cause,
            left_out,
            "a client is refused for its certificate (--tls-client-ca); told once a minute at most"
        );
    }
}

/// Returns what is wrong with the certificate of a client; [`None`] for errors of other kinds.
fn of_client(error: &Error) -> Option<String> {
    let wrong = match error {
        Error::NoCertificatesPresented => {
            return Some("it has shown none; --tls-client optional lets it in".into());
        }
        Error::InvalidCertificate(wrong) => wrong,
        _ => return None,
    };
    Some(match wrong {
        CertificateError::UnknownIssuer => "it is of no authority in the file of --tls-client-ca".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its extended key usage is not that of clients (clientAuth)".into()
        }
        other => {
            let text = other.to_string();
            if text.contains("UnsupportedCertVersion") {
                "it is X.509 of version 1; expected version 3, which openssl makes with -extfile".into()
            } else if text.contains("CaUsedAsEndEntity") {
                "it is that of an authority; expected one with basicConstraints=CA:FALSE".into()
            } else {
                text
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, Error};

    use super::of_client;

    #[test]
    fn only_what_is_wrong_with_a_certificate_is_told() {
        let of = |wrong| of_client(&Error::InvalidCertificate(wrong)).unwrap();
        assert_eq!(of(CertificateError::Expired), "it has expired");
        assert_eq!(of(CertificateError::BadEncoding), "BadEncoding");
        assert!(of_client(&Error::NoCertificatesPresented).unwrap().contains("--tls-client optional"));
        assert_eq!(of_client(&Error::DecryptError), None);
    }
}
