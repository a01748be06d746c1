//! Helper for build scripts that includes a folder of files in the module.

use std::format;
use std::fs;
use std::path::{Path, PathBuf};
use std::prelude::rust_2024::*;
use std::println;

use sha2::{Digest, Sha256};

use crate::media_type;
use crate::site::PATH_MAX;

/// Default maximum size of one file, in bytes: the default of the host's limit on a response
/// (`--response-max`).
const FILE_MAX: u64 = 8 << 20;
/// Default maximum size of all files together, in bytes.
const TOTAL_MAX: u64 = 16 << 20;
/// Maximum number of files, so that the build ends soon when a large folder is named by mistake.
const FILES_MAX: usize = 10_000;
/// Maximum depth of nested folders, so that the build ends soon when a large folder is named by
/// mistake.
const DEPTH_MAX: usize = 32;

/// File extensions of compressed variants, each with its content coding, in order of preference:
/// Brotli is usually smaller.
const CODINGS: [(&str, &str); 2] = [(".br", "br"), (".gz", "gzip")];

/// Includes a folder in the module as a static site. The path is relative to the crate's
/// `Cargo.toml`. Call this function in `build.rs`; in the crate, [`site!`](crate::site!) then
/// expands to the site.
///
/// Leaves out files and folders whose names begin with a dot, except `.well-known`. Ends the build
/// with an error if anything else cannot be included, such as a symbolic link, a name that is not
/// UTF-8, a file of more than 8 MiB, or more than 16 MiB in total. [`StaticSite`] can set other
/// limits.
pub fn static_site(folder: &str) {
    StaticSite::new(folder).include();
}

/// A folder to include in the module as a static site, with limits on its size.
#[derive(Clone, Debug)]
pub struct StaticSite {
    folder: PathBuf,
    file_max: u64,
    total_max: u64,
}

impl StaticSite {
    /// Creates a static site from a folder, whose path is relative to the crate's `Cargo.toml`.
    pub fn new(folder: impl Into<PathBuf>) -> StaticSite {
        StaticSite { folder: folder.into(), file_max: FILE_MAX, total_max: TOTAL_MAX }
    }

    /// Sets the maximum size of one file in bytes; 8 MiB by default.
    #[must_use]
    pub fn file_max(mut self, bytes: u64) -> StaticSite {
        self.file_max = bytes;
        self
    }

    /// Sets the maximum size of all files together in bytes; 16 MiB by default.
    #[must_use]
    pub fn total_max(mut self, bytes: u64) -> StaticSite {
        self.total_max = bytes;
        self
    }

    /// Includes the folder in the module, or ends the build with an error.
    pub fn include(&self) {
        let done = match std::env::var_os("OUT_DIR") {
            Some(out) => self.write(Path::new(&out)),
            None => Err("static_site is for build scripts: Cargo sets OUT_DIR for them alone".to_owned()),
        };
        println!("cargo::rerun-if-changed={}", self.folder.display());
        match done {
            Ok(code) => println!("cargo::rustc-env=HANDLER_SDK_SITE={}", code.display()),
            Err(error) => {
                println!("cargo::error={error}");
                std::process::exit(1);
            }
        }
    }

    /// Writes the generated code of the site and copies of its files to the folder `out`, and
    /// returns the path of the code. The module includes the copies instead of the files, because a
    /// file that changes during the build would no longer match its entity tag.
    ///
    /// # Errors
    ///
    /// One line that says which file cannot be included, and why.
    fn write(&self, out: &Path) -> Result<PathBuf, String> {
        let mut files = Vec::new();
        self.collect(&self.folder, "", 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(format!(
                "the folder {} has no files; expected those of a site",
                self.folder.display()
            ));
        }
        let copies = out.join("site");
        if copies.exists() {
            fs::remove_dir_all(&copies).map_err(|error| cannot("clear", &copies, &error))?;
        }
        fs::create_dir_all(&copies).map_err(|error| cannot("create", &copies, &error))?;
        let mut code = "::handler_sdk::Site::of(&[\n".to_owned();
        let mut total = 0;
        for path in &files {
            // A compressed variant is listed with its file.
            let is_variant = |(ending, _): &(&str, &str)| {
                path.strip_suffix(*ending).is_some_and(|file| files.iter().any(|each| each == file))
            };
            if CODINGS.iter().any(is_variant) {
                continue;
            }
            let mut variants = self.variant(path, "", &copies, &mut total)?;
            for (ending, coding) in CODINGS {
                let compressed = format!("{path}{ending}");
                if files.contains(&compressed) {
                    variants.push_str(&self.variant(&compressed, coding, &copies, &mut total)?);
                }
            }
            let media_type = media_type(path);
            code.push_str(&format!(
                "    ::handler_sdk::SiteFile {{ path: {path:?}, media_type: {media_type:?}, variants: &[{variants}] }},\n"
            ));
        }
        code.push_str("])\n");
        let file = out.join("site.rs");
        fs::write(&file, code).map_err(|error| cannot("write", &file, &error))?;
        Ok(file)
    }

    /// Adds the paths of the files in `folder` and its subfolders to `files`. The paths are
    /// relative to the site's folder: `before` is the relative path of `folder`, with a slash at
    /// its end, and `depth` the number of folders in it.
    fn collect(
        &self,
        folder: &Path,
        before: &str,
        depth: usize,
        files: &mut Vec<String>,
    ) -> Result<(), String> {
        let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| cannot("read", folder, &error))?;
            let at = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(format!("the name of {} is not UTF-8; rename the file", at.display()));
            };
            if name.starts_with('.') && name != ".well-known" {
                continue;
            }
            let path = format!("{before}{name}");
            // The type of the entry itself: a link is not followed.
            let kind = entry.file_type().map_err(|error| cannot("read", &at, &error))?;
            if kind.is_dir() && depth < DEPTH_MAX {
                self.collect(&at, &format!("{path}/"), depth + 1, files)?;
            } else if kind.is_file() && path.len() <= PATH_MAX && files.len() < FILES_MAX {
                files.push(path);
            } else {
                let expected = format!(
                    "expected a file or a folder, at most {FILES_MAX} files, {DEPTH_MAX} folders deep, with paths of at most {PATH_MAX} bytes"
                );
                let found = if kind.is_symlink() { "is a symbolic link" } else { "cannot be included" };
                return Err(format!("{} {found}; {expected}", at.display()));
            }
        }
        Ok(())
    }

    /// Copies a file to the folder `copies`, and adds its size to `total`. Returns the generated
    /// code for a `SiteVariant` with the content coding `coding`.
    fn variant(&self, path: &str, coding: &str, copies: &Path, total: &mut u64) -> Result<String, String> {
        let at = self.folder.join(path);
        let content = fs::read(&at).map_err(|error| cannot("read", &at, &error))?;
        let length = content.len() as u64;
        *total += length;
        let at = at.display();
        if length > self.file_max {
            let max = self.file_max;
            return Err(format!("{at} has {length} bytes; expected at most {max} (StaticSite::file_max)"));
        }
        if *total > self.total_max {
            let (folder, max) = (self.folder.display(), self.total_max);
            return Err(format!(
                "{folder} has {total} bytes up to {path}; expected at most {max} (StaticSite::total_max)"
            ));
        }
        let hash = Sha256::digest(&content);
        let etag: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let copy = copies.join(format!("{etag}{coding}"));
        fs::write(&copy, &content).map_err(|error| cannot("write", &copy, &error))?;
        Ok(format!(
            "::handler_sdk::SiteVariant {{ coding: {coding:?}, etag: {etag:?}, content: include_bytes!({copy:?}) }}, "
        ))
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::prelude::rust_2024::*;
    use std::string::String;

    use super::StaticSite;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Folder {
            let folder = std::env::temp_dir().join(std::format!("site-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            for (path, text) in files {
                let path = folder.join("in").join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            fs::create_dir_all(folder.join("out")).unwrap();
            Folder(folder)
        }

        fn site(&self) -> StaticSite {
            StaticSite::new(self.0.join("in"))
        }

        fn build(&self, site: &StaticSite) -> Result<String, String> {
            site.write(&self.0.join("out")).map(|code| fs::read_to_string(code).unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Returns the paths and the codings in the generated code, in order.
    fn listed(code: &str) -> String {
        let values = |key: &str, text: &str| {
            let values = text.split(key).skip(1).map(|rest| rest.split('"').nth(1).unwrap_or("").to_owned());
            values.collect::<Vec<_>>().join(",")
        };
        let lines = code.lines().filter(|line| line.contains("SiteFile"));
        lines.map(|line| std::format!("{}[{}] ", values("path: ", line), values("coding: ", line))).collect()
    }

    #[test]
    fn files_are_listed_in_order_with_their_variants() {
        let files = [
            ("b.css", "b"),
            ("b.css.gz", "z"),
            ("b.css.br", "r"),
            ("a/index.html", "a"),
            ("a-b.txt", "c"),
            ("lone.gz", "d"),
            (".hidden", "e"),
            (".git/config", "f"),
            (".well-known/x", "g"),
        ];
        let folder = Folder::new("listed", &files);
        let code = folder.build(&folder.site()).unwrap();
        let expected = ".well-known/x[] a-b.txt[] a/index.html[] b.css[,br,gzip] lone.gz[] ";
        assert_eq!(listed(&code), expected, "{code}");
        assert!(code.contains("\"ca978112ca1bbdcafac231b39a23dc4d\""), "the hash of `a`: {code}");
        assert_eq!(folder.build(&folder.site()).unwrap(), code, "built again");
    }

    #[test]
    fn what_cannot_be_included_ends_the_build() {
        let folder = Folder::new("refused", &[("a.txt", "12345"), ("b.txt", "67890")]);
        let fails = |site: &StaticSite, expected: &str| {
            let error = folder.build(site).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        fails(&folder.site().file_max(4), "a.txt has 5 bytes; expected at most 4 (StaticSite::file_max)");
        fails(
            &folder.site().total_max(9),
            "has 10 bytes up to b.txt; expected at most 9 (StaticSite::total_max)",
        );
        fails(&StaticSite::new("/no/such/folder"), "cannot read /no/such/folder: ");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(Path::new("/etc/hostname"), folder.0.join("in/link")).unwrap();
            fails(&folder.site(), "link is a symbolic link; expected a file");
        }
        let empty = Folder::new("empty", &[(".hidden", "")]);
        assert!(empty.build(&empty.site()).unwrap_err().contains("has no files"));
    }
}
