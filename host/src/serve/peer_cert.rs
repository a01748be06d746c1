//! Certificate that a client has shown, as a handler gets it.

use host_http::request::ClientCert;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::net::tls_stream::TlsStream;

/// Longest subject in bytes. A longer one is cut.
const SUBJECT_MAX: usize = 1024;

/// Returns the certificate that rustls has verified, if the client has shown one.
pub(super) fn of(tls: &TlsStream) -> Option<ClientCert> {
    tls.session(|session| {
        let der = session.peer_certificates()?.first()?;
        let sha256 = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
        let subject = X509Certificate::from_der(der).map(|(_, found)| found.subject().to_string());
        Some(ClientCert { sha256, subject: visible(&subject.unwrap_or_default()) })
    })
}

/// Writes bytes that no field may have as RFC 4514 does: a backslash and two hexadecimal digits.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' => visible.push(byte.into()),
            _ => visible.push_str(&format!("\\{byte:02x}")),
        }
        if visible.len() > SUBJECT_MAX {
            break;
        }
    }
    visible.trim().into()
}

#[cfg(test)]
mod tests {
    use super::{SUBJECT_MAX, visible};

    #[test]
    fn a_subject_is_one_line_of_ascii() {
        assert_eq!(visible(" CN=J\u{fc}rgen\r\nx: y, O=A "), "CN=J\\c3\\bcrgen\\0d\\0ax: y, O=A");
        assert!(visible(&"x".repeat(9999)).len() <= SUBJECT_MAX + 3);
    }
}
