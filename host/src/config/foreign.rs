//! Names that other programs give to settings, and what to give instead. They are known as flags and
//! as keys of the configuration file.

/// What to give instead of a name of other programs.
pub struct Instead {
    /// Names of the flags that do the same, without hyphens in front; empty if there is none.
    pub flags: &'static [&'static str],
    /// What to know besides; empty if the names say all.
    pub note: &'static str,
}

/// Names of other programs, without hyphens in front.
pub const FOREIGN: [(&[&str], Instead); 10] = [
    (
        &["cert", "tls-certificate", "ssl-certificate", "ssl-cert", "certificate", "cert-file", "tls-crt"],
        Instead { flags: &["tls-cert"], note: "" },
    ),
    (
        &["key", "tls-private-key", "ssl-certificate-key", "ssl-key", "private-key", "key-file", "cert-key"],
        Instead { flags: &["tls-key"], note: "" },
    ),
    (
        &["https", "tls", "ssl"],
        Instead { flags: &["tls-cert", "tls-key", "acme"], note: "a certificate turns TLS on" },
    ),
    (
        &["redirect", "https-redirect", "redirect-https", "http-redirect"],
        Instead { flags: &["listen"], note: "such as 0.0.0.0:80,redirect" },
    ),
    (&["http2", "h2", "http-2"], Instead { flags: &["h2c", "no-h2"], note: "over TLS it is on by default" }),
    (
        &["client-ca", "ssl-client-certificate", "ca-file", "mtls", "cacert"],
        Instead { flags: &["tls-client-ca"], note: "" },
    ),
    (&["acme-domain", "acme-domains", "domain"], Instead { flags: &["acme"], note: "" }),
    (&["acme-server", "acme-url", "acme-ca-url"], Instead { flags: &["acme-directory"], note: "" }),
    (
        &["address", "bind", "addr", "host-port"],
        Instead { flags: &["listen"], note: "such as localhost:4444" },
    ),
    (
        &["user", "group", "uid", "setuid"],
        Instead { flags: &[], note: "start the program as that user, for example by User= of systemd" },
    ),
];

/// Returns what to give instead of a name of other programs, in which `named` shows each flag.
pub fn instead(name: &str, named: impl Fn(&str) -> String) -> Option<String> {
    let name = name.trim_start_matches('-').replace('_', "-").to_ascii_lowercase();
    let (_, Instead { flags, note }) = FOREIGN.iter().find(|(names, _)| names.contains(&&*name))?;
    let flags: Vec<_> = flags.iter().map(|flag| named(flag)).collect();
    Some(match (flags.is_empty(), note.is_empty()) {
        (true, _) => (*note).into(),
        (false, true) => format!("did you mean {}?", flags.join(" or ")),
        (false, false) => format!("did you mean {}? ({note})", flags.join(" or ")),
    })
}
