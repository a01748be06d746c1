//! Certificate that a client has presented, in the form in which a handler gets it.

use host_http::request::ClientCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::hex::{self, hex};
use crate::net::tls_stream::TlsStream;

/// Maximum length of a subject in bytes. A longer subject is replaced by an empty one.
const SUBJECT_MAX: usize = 1024;

/// Returns the certificate that the client has presented and rustls has verified, if there is one.
pub(super) fn of(tls: &TlsStream) -> Option<ClientCert> {
    tls.session(|session| {
        let der = session.peer_certificates()?.first()?;
        let sha256 = hex::sha256(der);
        let subject = X509Certificate::from_der(der).map(|(_, found)| subject(found.subject()));
        let subject = subject.ok().filter(|subject| subject.len() <= SUBJECT_MAX).unwrap_or_default();
        Some(ClientCert { sha256, subject })
    })
}

/// Formats a name as RFC 4514 does, except that its parts stay in the order of the certificate, and
/// that a space follows each comma. The result is one line of visible ASCII, and is different for
/// different names.
fn subject(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"));
    parts.collect::<Vec<_>>().join(", ")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let name = oid2abbrev(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned);
    match attribute.as_str() {
        Ok(text) => format!("{name}={}", escaped(text)),
        // Section 2.4: what has no text.
        Err(_) => format!("{name}=#{}", hex(attribute.as_slice())),
    }
}

/// Escapes each byte that has a special meaning in a formatted name, or is not visible ASCII, as a
/// backslash and two hexadecimal digits.
fn escaped(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let is_plain = |index: usize, byte: u8| match byte {
        b' ' => index != 0 && index != last,
        b'#' => index != 0,
        b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' => false,
        _ => byte.is_ascii_graphic(),
    };
    let bytes = text.bytes().enumerate();
    bytes
        .map(
            |(index, byte)| {
                if is_plain(index, byte) { char::from(byte).into() } else { format!("\\{byte:02x}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_value_cannot_be_taken_for_several() {
        for (text, expected) in [
            ("robot 7", "robot 7"),
            ("J\u{fc}rgen", "J\\c3\\bcrgen"),
            ("robot, O=Example", "robot\\2c O\\3dExample"),
            ("x\\c3\\bc", "x\\5cc3\\5cbc"),
            (" a ", "\\20a\\20"),
            (" ", "\\20"),
            ("#a#", "\\23a#"),
            ("a\r\nx: y", "a\\0d\\0ax: y"),
            ("", ""),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
