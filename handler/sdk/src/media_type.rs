//! Determines the media type of a file from its name.

/// File extensions in lower case, sorted, with their media types: those that IANA has registered,
/// or else the usual ones. Text types have a charset, because the defaults of clients differ.
const TYPES: [(&str, &str); 50] = [
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("jxl", "image/jxl"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// Returns the media type for the extension of a file name. Case does not matter.
/// `application/octet-stream` for an unknown extension.
///
/// ```
/// # use handler_sdk::media_type;
/// assert_eq!(media_type("docs/index.HTML"), "text/html; charset=utf-8");
/// assert_eq!(media_type("README"), "application/octet-stream");
/// ```
pub fn media_type(name: &str) -> &'static str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let known = file.rsplit_once('.').and_then(|(_, extension)| {
        let lower = |text: &str| {
            text.bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(extension.bytes().map(|byte| byte.to_ascii_lowercase()))
        };
        let place = TYPES.binary_search_by(|(each, _)| lower(each)).ok()?;
        TYPES.get(place)
    });
    known.map_or("application/octet-stream", |(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::{TYPES, media_type};

    #[test]
    fn the_table_is_sorted_and_text_has_a_charset() {
        assert!(TYPES.is_sorted_by(|(one, _), (next, _)| one < next));
        for (extension, found) in TYPES {
            assert_eq!(found.starts_with("text/"), found.ends_with("; charset=utf-8"), "{extension}");
        }
    }

    #[test]
    fn the_last_extension_decides() {
        for (name, expected) in [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.tar.gz", "application/gzip"),
            ("a/b.c/d.WOFF2", "font/woff2"),
            (".html", "text/html; charset=utf-8"),
            ("a.html/b", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("a.h\u{fc}", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }
}
