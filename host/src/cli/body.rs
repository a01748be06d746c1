//! Request body given on the command line, with flags named as those of curl (`--data`, ...).

use std::fs;
use std::io::{self, Read as _};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request};

/// Flags that give a body.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Body {
    /// Form data: a text, @ and the name of a file whose line ends are left out, or @- for standard
    /// input; several are joined by &. Implies POST and the content type of a form
    #[arg(short, long, value_name = "DATA|@FILE", conflicts_with_all = ["data_binary", "json"])]
    data: Vec<String>,
    /// Data as for --data, but with every byte of a file, line ends too
    #[arg(long, value_name = "DATA|@FILE", conflicts_with = "json")]
    data_binary: Vec<String>,
    /// JSON: a text, @ and the name of a file, or @-; several follow each other. Implies POST, and
    /// content-type and accept of JSON
    #[arg(long, value_name = "DATA|@FILE")]
    json: Vec<String>,
}

impl Body {
    /// Returns whether a flag that gives a body was used.
    pub(super) fn is_given(&self) -> bool {
        [&self.data, &self.data_binary, &self.json].iter().any(|each| !each.is_empty())
    }

    /// Sets the body of a request. Also sets the field `content-type` and, for JSON, `accept`,
    /// unless the request has them already. Without a flag that gives a body, changes nothing.
    ///
    /// # Errors
    ///
    /// One line: which file cannot be read, that standard input cannot be read, or that it is named
    /// twice.
    pub(super) fn add_to(&self, request: &mut Request<Bytes>) -> anyhow::Result<()> {
        if !self.is_given() {
            return Ok(());
        }
        let pieces = [&self.data, &self.data_binary, &self.json].into_iter().flatten();
        let inputs = pieces.clone().filter(|piece| *piece == "@-").count();
        if inputs > 1 {
            bail!("standard input is named {inputs} times (@-); expected once, because it can be read once");
        }
        let mut bodies = Vec::new();
        for piece in pieces {
            let mut bytes = read(piece)?;
            if !self.data.is_empty() && piece.starts_with('@') {
                bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            }
            bodies.push(bytes);
        }
        let (is_json, joint) = (!self.json.is_empty(), if self.json.is_empty() { &b"&"[..] } else { b"" });
        *request.body_mut() = bodies.join(joint).into();
        let mut add = |name: HeaderName, value: &'static str| {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        };
        add(CONTENT_TYPE, if is_json { "application/json" } else { "application/x-www-form-urlencoded" });
        if is_json {
            add(ACCEPT, "application/json");
        }
        Ok(())
    }
}

fn read(piece: &str) -> anyhow::Result<Vec<u8>> {
    Ok(match piece.strip_prefix('@') {
        Some("-") => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
            body
        }
        Some(file) => fs::read(file).with_context(|| format!("cannot read {file}, the file of the body"))?,
        None => piece.as_bytes().to_vec(),
    })
}
