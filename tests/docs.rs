//! The documents: the files, links and anchors that they name exist, the routes that they
//! show are those of the default handler, and the book lists every page.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::repository::{files, root};

/// Prefixes by which a word in a document is a path that must exist in the repository.
const TOP: [&str; 6] = ["host/", "handler/", "tests/", "docs/", "packaging/", ".ci/"];

/// Most lines of the README: a longer one is not read.
const README_LINES_MAX: usize = 150;

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines; expected at most {README_LINES_MAX}");
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        for link in links(&prose(&read(&page))) {
            check_link(&page, &link);
        }
    }
}

#[test]
fn every_file_that_a_document_names_exists() {
    let ignored = read(".gitignore");
    let is_made = |name: &str| ignored.lines().any(|made| name.starts_with(made.trim_start_matches('/')));
    for page in pages() {
        // Reads code blocks, too: they may name files.
        for name in file_names(&read(&page)) {
            let exists = root().join(&name).exists() || is_made(&name);
            assert!(exists, "{page} names {name}, which does not exist");
        }
    }
}

#[test]
fn every_log_target_in_a_document_is_a_module() {
    for page in pages() {
        let text = read(&page);
        for piece in text.split(" host::").skip(1) {
            let module = piece.split([':', ' ', '`', '\n']).filter(|part| !part.is_empty());
            let [folder, file] = module.take(2).collect::<Vec<_>>()[..] else { panic!("{page}: {piece}") };
            let path = root().join("host/src").join(folder).join(file).with_extension("rs");
            assert!(path.exists(), "{page} shows the log target host::{folder}::{file}, which is no module");
        }
    }
}

#[test]
fn the_routes_that_documents_show_are_those_of_the_default_handler() {
    let handler = read("handler/src/lib.rs");
    for page in ["README.md", "docs/tutorial.md"] {
        let text = read(page);
        let blocks: Vec<_> = text.split("\n```rust").skip(1).collect();
        assert!(!blocks.is_empty(), "{page} has no Rust code");
        for block in blocks {
            let code = block.split_once('\n').unwrap().1.split("\n```").next().unwrap();
            for item in code.split("\n\n") {
                assert!(handler.contains(&format!("\n{item}\n")), "{page}: not in the handler:\n{item}");
            }
        }
    }
}

#[test]
fn the_book_has_every_page() {
    let listed = links(&read("docs/SUMMARY.md"));
    for page in pages().iter().filter_map(|page| page.strip_prefix("docs/")) {
        let is_listed = page == "SUMMARY.md" || listed.iter().any(|link| link == page);
        assert!(is_listed, "docs/SUMMARY.md does not list {page}");
    }
}

/// Returns the documents, as paths from the top of the repository.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "handler/README.md", "handler/examples/README.md"]
            .map(str::to_owned)
            .into();
    pages.extend(files(&["docs", "tests/corpus", "tests/fixtures"], "md"));
    assert!(pages.len() > 20, "too few documents: {pages:?}");
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Returns a text without code: blocks become empty lines, and inline code is removed.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !in_block && !is_fence {
            // Backticks separate text and code in turn, so every second piece is code.
            line.split('`').step_by(2).for_each(|piece| prose.push_str(piece));
        }
        prose.push('\n');
        in_block ^= is_fence;
    }
    prose
}

/// Returns the targets of links and images: `](target)`.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// Returns the words of a text that begin like a path in the repository.
fn file_names(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    text.split(|c| !is_part(c))
        .map(|word| word.trim_end_matches(['.', '/']))
        .filter(|word| TOP.iter().any(|top| word.starts_with(top)))
        .map(str::to_owned)
        .collect()
}

fn check_link(page: &str, link: &str) {
    if link.starts_with("https://") || link.starts_with("http://") {
        return;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => PathBuf::from(page),
        _ => normal(&Path::new(page).parent().unwrap().join(file)),
    };
    assert!(root().join(&target).exists(), "{page} links to {link}, which does not exist");
    let stays = !page.starts_with("docs/") || target.starts_with("docs");
    assert!(stays, "{page} links to {link}, which the book does not contain");
    if !anchor.is_empty() {
        let anchors = anchors(&read(target.to_str().unwrap()));
        assert!(anchors.iter().any(|found| found == anchor), "{page} links to {link}; found {anchors:?}");
    }
}

/// Resolves `..` in a path without following symbolic links.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(normal.pop(), "{} leaves the repository", path.display()),
            part => normal.push(part),
        }
    }
    normal
}

/// Returns the anchors of a page's headings, as mdBook and code hosts such as GitHub form
/// them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut in_block = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if in_block || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " _-".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let count = seen.entry(anchor.clone()).or_default();
        anchors.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    anchors
}

#[test]
fn anchors_are_made_of_headings() {
    let text = "# A b\n```\n# code\n```\n## `host test`\n## Why, and what?\n## A b\n";
    assert_eq!(anchors(text), ["a-b", "host-test", "why-and-what", "a-b-1"]);
}

#[test]
fn links_are_found_outside_of_code_only() {
    let text = "[a](b.md#c) `[x](y)` ![d](e.svg)\n```text\n[x](y)\n```\n";
    assert_eq!(links(&prose(text)), ["b.md#c", "e.svg"]);
}
