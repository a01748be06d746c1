//! Serves a folder of files that was included in the module at build time.

use crate::accept::{parse_quality, weight};
use crate::bytes::{Split, find};
use crate::conditional::{ETag, Validators};
use crate::encoded::Encoded;
use crate::export::leak;
use crate::message::Message;
use crate::route::Methods;
use crate::{Request, Response, Status};

/// Maximum length of the path of a file, in bytes. The build helper refuses longer paths.
pub(crate) const PATH_MAX: usize = 255;
/// Name of the file that answers a request for its folder.
const INDEX: &[u8] = b"index.html";

/// Includes the static site that the build script has created from a folder. Expands to an
/// expression of type [`Site`](crate::Site).
///
/// The build helper sets the environment variable `HANDLER_SDK_SITE`, which holds the path of the
/// generated code. `OUT_DIR` would not show whether the helper was called, because every crate with
/// a build script has `OUT_DIR`.
#[macro_export]
macro_rules! site {
    () => {
        include!(env!(
            "HANDLER_SDK_SITE",
            "site!() needs a build script with handler_sdk::build::static_site(\"FOLDER\")"
        ))
    };
}

/// A static site. Serves files by their paths, with entity tags, ranges and compressed variants.
///
/// The build script names the folder. It needs the SDK under `[build-dependencies]`, with the
/// feature `build`:
///
/// ```text
/// fn main() {
///     handler_sdk::build::static_site("public");
/// }
/// ```
///
/// The handler answers from the site, for all requests or for those without a route:
///
/// ```text
/// static SITE: Site = handler_sdk::site!();
///
/// const ROUTES: Router = Router::new(&[get("/api/time", time), get("/", page), get("/{*path}", page)]);
///
/// fn page(request: Request<'_>) -> Response<'_> {
///     SITE.answer(request)
/// }
/// ```
///
/// | path | answer |
/// | --- | --- |
/// | of a file | the file, whole or in part, or 304; see [`Response::conditional`] |
/// | ends in `/` | `index.html` of that folder |
/// | of a folder with `index.html` | 308 to the path with `/` |
/// | anything else | 404, with the site's `404.html` if it has one |
///
/// OPTIONS is answered with status 204, and any method other than GET and HEAD with 405. A file
/// `app.js.br` or `app.js.gz` beside `app.js` is the compressed variant for clients that accept it.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Files of the site, sorted by path.
    files: &'static [SiteFile],
    under: &'static str,
    cache_control: &'static str,
}

/// A file of a site.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct SiteFile {
    /// Path relative to the folder of the site, without a leading slash.
    pub path: &'static str,
    pub media_type: &'static str,
    /// The uncompressed file, followed by its compressed variants, Brotli before gzip.
    pub variants: &'static [SiteVariant],
}

/// Content of a file, compressed or not.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct SiteVariant {
    /// Content coding, such as `gzip`; empty if the content is not compressed.
    pub coding: &'static str,
    pub etag: &'static str,
    pub content: &'static [u8],
}

impl Site {
    #[doc(hidden)]
    pub const fn of(files: &'static [SiteFile]) -> Site {
        Site { files, under: "/", cache_control: "no-cache" }
    }

    /// Serves the files below a path, such as `/static/`; by default, below `/`.
    ///
    /// # Panics
    ///
    /// When the path does not begin and end with a slash; in a `const` or `static`,
    /// a compile error.
    #[must_use]
    #[track_caller]
    pub const fn under(mut self, path: &'static str) -> Site {
        let bytes = path.as_bytes();
        assert!(
            matches!(bytes, [b'/'] | [b'/', .., b'/']),
            "the path of a site begins and ends with a slash"
        );
        self.under = path;
        self
    }

    /// Sets the field `cache-control` of responses with a file. The default is `no-cache`: a client
    /// asks each time whether the file has changed, and gets 304 if not.
    #[must_use]
    pub const fn cache_control(mut self, value: &'static str) -> Site {
        self.cache_control = value;
        self
    }

    /// Answers a request with the file at its path; see the table at [`Site`].
    pub fn answer<'a>(&self, request: Request<'a>) -> Response<'a> {
        if !matches!(request.method_bytes(), b"GET" | b"HEAD") {
            let response = match request.method_bytes() {
                b"OPTIONS" => Response::new(Status::NO_CONTENT),
                _ => Response::html(Status::METHOD_NOT_ALLOWED, "<h1>error 405 method not allowed</h1>"),
            };
            return response.allow(Methods::READ);
        }
        // Has room for the name of the index file after the path.
        let mut room = [0; PATH_MAX + 1 + INDEX.len()];
        let path = request.path_bytes().strip_prefix(self.under.as_bytes());
        let Some(length) = path.and_then(|path| decode(path, &mut room)) else {
            return self.not_found(request);
        };
        let is_folder = length == 0 || room.get(length - 1) == Some(&b'/');
        if !is_folder && let Some(file) = self.find(room.get(..length)) {
            return self.send(request, file, Status::OK);
        }
        let index = if is_folder { INDEX } else { b"/index.html" };
        let end = length + index.len();
        if let Some(place) = room.get_mut(length..end) {
            place.copy_from_slice(index);
        }
        match self.find(room.get(..end)) {
            Some(file) if is_folder => self.send(request, file, Status::OK),
            Some(_) => Response::new(Status::PERMANENT_REDIRECT).field("location", with_slash(request)),
            None => self.not_found(request),
        }
    }

    fn find(&self, path: Option<&[u8]>) -> Option<&'static SiteFile> {
        let path = path?;
        let place = self.files.binary_search_by(|file| file.path.as_bytes().cmp(path)).ok()?;
        self.files.get(place)
    }

    fn not_found<'a>(&self, request: Request<'a>) -> Response<'a> {
        match self.find(Some(b"404.html")) {
            Some(file) => self.send(request, file, Status::NOT_FOUND),
            None => Response::html(Status::NOT_FOUND, "<h1>error 404 not found</h1>"),
        }
    }

    fn send<'a>(&self, request: Request<'a>, file: &'static SiteFile, status: Status) -> Response<'a> {
        let Some((plain, compressed)) = file.variants.split_first() else {
            return Response::new(Status::NOT_FOUND);
        };
        let accepted = compressed.iter().find(|variant| request.takes_coding(variant.coding));
        let variant = accepted.unwrap_or(plain);
        let mut response = Response::new(status).field("content-type", file.media_type).body(variant.content);
        if status == Status::OK {
            response = response.field("cache-control", self.cache_control);
        }
        if !variant.coding.is_empty() {
            response = response.field("content-encoding", variant.coding);
        }
        if !compressed.is_empty() {
            response = response.field("vary", "accept-encoding");
        }
        response.conditional(request, &Validators::of(ETag::strong(variant.etag)))
    }
}

impl Request<'_> {
    /// Returns whether the client accepts a content coding (RFC 9110, section 12.5.3).
    fn takes_coding(&self, coding: &str) -> bool {
        let mut by_star = false;
        for element in self.field_values("accept-encoding").flat_map(|value| Split::new(value, b',')) {
            let mut parts = Split::new(element, b';');
            let name = parts.next().unwrap_or_default().trim_ascii();
            let is_taken = match parts.find_map(weight) {
                Some(quality) => parse_quality(quality).is_some_and(|quality| quality > 0),
                None => true,
            };
            if name.eq_ignore_ascii_case(coding.as_bytes()) {
                return is_taken;
            }
            by_star |= name == b"*" && is_taken;
        }
        by_star
    }
}

/// Percent-decodes a path into `room`, and returns the decoded length in bytes. `None` if no file
/// can have the path: it is longer than [`PATH_MAX`], or contains an encoded slash, which does not
/// separate folders.
fn decode(path: &[u8], room: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for byte in Encoded::percent(path).decoded() {
        *room.get_mut(..PATH_MAX)?.get_mut(length)? = byte;
        length += 1;
    }
    let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
    (slashes(path) == slashes(room.get(..length)?)).then_some(length)
}

/// Returns the target of a request with a slash added after the path, in leaked memory.
fn with_slash(request: Request<'_>) -> &'static [u8] {
    let target = request.target().as_bytes();
    let (path, query) = target.split_at(find(b'?', target).unwrap_or(target.len()));
    let room = leak(target.len() + 1);
    let mut text = Message::new(room);
    [path, b"/", query].into_iter().for_each(|piece| text.put(piece));
    room
}

#[cfg(test)]
mod tests {
    use std::prelude::rust_2024::*;
    use std::{format, string::String, vec};

    use super::{Site, SiteFile, SiteVariant};
    use crate::{Request, Response};

    const fn plain(content: &'static str, etag: &'static str) -> SiteVariant {
        SiteVariant { coding: "", etag, content: content.as_bytes() }
    }

    static SITE: Site = Site::of(&[
        SiteFile { path: "404.html", media_type: "text/html", variants: &[plain("lost", "l")] },
        SiteFile {
            path: "app.js",
            media_type: "text/javascript",
            variants: &[
                plain("plain", "p"),
                SiteVariant { coding: "br", etag: "b", content: b"br" },
                SiteVariant { coding: "gzip", etag: "g", content: b"gzip" },
            ],
        },
        SiteFile { path: "docs/index.html", media_type: "text/html", variants: &[plain("docs", "d")] },
        SiteFile { path: "gr\u{fc}n.txt", media_type: "text/plain", variants: &[plain("green", "t")] },
        SiteFile { path: "index.html", media_type: "text/html", variants: &[plain("index", "i")] },
    ]);

    fn text(response: &Response<'_>) -> String {
        let mut room = vec![0; response.encoded_len()];
        response.encode(&mut room).unwrap();
        String::from_utf8(room).unwrap()
    }

    fn ask(site: &Site, method: &str, target: &str, fields: &str) -> (u16, String, String) {
        let bytes = format!("{method} {target} HTTP/1.1\r\n{fields}\r\n");
        let request = Request::parse(bytes.as_bytes()).unwrap();
        let response = site.answer(request);
        let text = text(&response);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (response.status().code(), head.to_owned(), body.to_owned())
    }

    #[test]
    fn a_path_is_a_file_a_folder_or_nothing() {
        for (name, target, status, found) in [
            ("root", "/", 200, "index"),
            ("file", "/index.html", 200, "index"),
            ("query", "/index.html?a=/docs", 200, "index"),
            ("folder", "/docs/", 200, "docs"),
            ("folder without slash", "/docs?a", 308, ""),
            ("encoded", "/%64ocs/", 200, "docs"),
            ("UTF-8", "/gr%C3%BCn.txt", 200, "green"),
            ("encoded slash", "/docs%2Findex.html", 404, "lost"),
            ("case", "/Docs/", 404, "lost"),
            ("upwards", "/docs/../index.html", 404, "lost"),
            ("encoded upwards", "/docs/%2e%2e/index.html", 404, "lost"),
            ("two slashes", "//index.html", 404, "lost"),
            ("file as a folder", "/index.html/", 404, "lost"),
            ("no file", "/nope", 404, "lost"),
            ("NUL", "/index.html%00", 404, "lost"),
            ("star", "*", 404, "lost"),
        ] {
            let (code, head, body) = ask(&SITE, "GET", target, "");
            assert_eq!((code, &*body), (status, found), "{name}: {target}");
            assert!(code != 308 || head.ends_with("location: /docs/?a"), "{name}: {head}");
        }
        let long = format!("/{}", "a".repeat(300));
        assert_eq!(ask(&SITE, "GET", &long, "").0, 404);
    }

    #[test]
    fn a_site_stands_below_its_path() {
        let site = SITE.under("/static/");
        assert_eq!(ask(&site, "GET", "/static/app.js", "").2, "plain");
        assert_eq!(ask(&site, "GET", "/static/", "").2, "index");
        assert_eq!(ask(&site, "GET", "/static/docs", "").1.lines().last(), Some("location: /static/docs/"));
        for target in ["/app.js", "/static", "/staticapp.js"] {
            assert_eq!(ask(&site, "GET", target, "").0, 404, "{target}");
        }
    }

    #[test]
    fn a_client_gets_the_variant_that_it_takes() {
        for (accepted, body) in [
            ("", "plain"),
            ("accept-encoding: gzip, deflate, br\r\n", "br"),
            ("accept-encoding: gzip\r\n", "gzip"),
            ("accept-encoding: GZIP;q=0.5, br;q=0\r\n", "gzip"),
            ("accept-encoding: identity\r\n", "plain"),
            ("accept-encoding: *\r\n", "br"),
            ("accept-encoding: *;q=0\r\n", "plain"),
            ("accept-encoding: br;q=0, *\r\n", "gzip"),
            ("accept-encoding: br;q=x\r\n", "plain"),
            ("accept-encoding: deflate\r\naccept-encoding: br\r\n", "br"),
        ] {
            let (_, head, found) = ask(&SITE, "GET", "/app.js", accepted);
            assert_eq!(found, body, "{accepted}");
            assert!(head.contains("vary: accept-encoding"));
            assert_eq!(head.contains("content-encoding: "), body != "plain", "{head}");
            assert!(head.contains(&format!("etag: \"{}\"", &body[..1])), "{head}");
        }
    }

    #[test]
    fn conditions_and_methods_are_those_of_files() {
        let (code, head, body) = ask(&SITE, "GET", "/app.js", "if-none-match: \"p\"\r\n");
        assert_eq!((code, &*body), (304, ""));
        assert!(
            head.contains("cache-control: no-cache\r\nvary: ") && !head.contains("content-type"),
            "{head}"
        );
        assert_eq!(ask(&SITE, "GET", "/", "range: bytes=1-2\r\n").2, "nd");
        assert_eq!(ask(&SITE, "GET", "/nope", "range: bytes=1-2\r\nif-none-match: \"l\"\r\n").2, "lost");
        assert_eq!(ask(&SITE, "HEAD", "/", "").2, "index");
        let (code, head, _) = ask(&SITE, "POST", "/", "");
        assert!(code == 405 && head.ends_with("allow: GET, HEAD, OPTIONS"), "{head}");
        assert_eq!(ask(&SITE, "OPTIONS", "/", "").0, 204);
    }
}
