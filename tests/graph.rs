//! Imports: the files of a crate do not import each other in circles, and no folder
//! imports one of a higher level.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::sources;

/// Crates of the server. For the last, also its top-level folders and files from the lowest
/// level to the highest: a file imports only from its own level and from lower ones.
#[rustfmt::skip]
const LEVELS: [(&str, &[&str]); 3] = [
    ("host/http/src", &[]),
    ("host/wasm/src", &[]),
    ("host/src", &[
        "amount", "hex", "in_force", "regular_file", "config", "clock", "seed", "metrics", "telemetry", "files", "net", "fault", "fault_counts", "events", "tls", "trial", "rollout",
        "background", "acme", "site", "record", "serve", "source", "admin", "bounds", "bounds_page", "limits", "reference", "cli", "builder", "reload", "upgrade", "doors",
    ]),
];

/// Modules of a crate, each with the modules that it imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the imports of each file, except those of its unit tests and re-exports.
fn graph(files: &[(String, String)]) -> Graph {
    let modules: BTreeMap<String, &str> =
        files.iter().map(|(path, text)| (module_of(path), text.as_str())).collect();
    let imports = |module: &String, text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let paths = code.split(';').flat_map(|statement| paths(module, statement));
        let found = paths.filter_map(|path| longest_prefix(&path, &modules));
        found.filter(|found| found != module).collect()
    };
    modules.iter().map(|(module, text)| (module.clone(), imports(module, text))).collect()
}

/// Returns the module path of a file, such as `a::b` for `a/b.rs`.
fn module_of(path: &str) -> String {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Returns the module paths that a statement names by `crate::` or `super::`, one for each
/// item of a list in braces.
fn paths(module: &str, statement: &str) -> Vec<String> {
    if statement.contains("pub use ") || statement.contains(") use ") {
        return Vec::new();
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = Vec::new();
    for (at, start) in statement.match_indices("crate::").chain(statement.match_indices("super::")) {
        let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if statement[..at].ends_with(|c: char| is_of_path(c) || c == '$') {
            continue;
        }
        let base =
            if start == "super::" && !parent.is_empty() { parent.to_owned() + "::" } else { "".into() };
        let rest = &statement[at + start.len()..];
        let (path, list) = rest.split_at(rest.find(|c: char| !is_of_path(c)).unwrap_or(rest.len()));
        match list.strip_prefix('{').filter(|_| path.is_empty() || path.ends_with("::")) {
            Some(list) => {
                let list = &list[..list.rfind('}').unwrap_or(list.len())];
                let items = list.split([',', '{', '}']).map(str::trim);
                found.extend(items.map(|item| format!("{base}{path}{item}")));
            }
            None => found.push(format!("{base}{path}")),
        }
    }
    found
}

/// Returns the longest prefix of a module path that is a file.
fn longest_prefix(path: &str, modules: &BTreeMap<String, &str>) -> Option<String> {
    let steps: Vec<&str> = path.split("::").collect();
    (1..=steps.len()).rev().map(|count| steps[..count].join("::")).find(|path| modules.contains_key(path))
}

/// Returns the files that import themselves through other files.
fn in_circles(graph: &Graph) -> BTreeSet<String> {
    let reaches_itself = |start: &&String| {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![*start]);
        while let Some(module) = ahead.pop() {
            for next in &graph[module] {
                if next == *start {
                    return true;
                }
                if seen.insert(next) {
                    ahead.push(next);
                }
            }
        }
        false
    };
    graph.keys().filter(reaches_itself).cloned().collect()
}

/// Returns the graph of a crate, without `lib.rs` and `main.rs`, which import everything.
fn graph_of(folder: &str) -> Graph {
    let mut files = sources(&[folder]);
    for (path, _) in &mut files {
        *path = path.strip_prefix(folder).unwrap().trim_start_matches('/').to_owned();
    }
    files.retain(|(path, _)| !["lib.rs", "main.rs"].contains(&&**path) && !path.contains("template"));
    graph(&files)
}

#[test]
fn no_files_import_each_other_in_circles() {
    for (folder, _) in LEVELS {
        let graph = graph_of(folder);
        assert!(graph.values().any(|imports| !imports.is_empty()), "{folder}");
        let found = in_circles(&graph);
        let shown: Vec<String> = found.iter().map(|file| format!("{file} -> {:?}", graph[file])).collect();
        assert!(found.is_empty(), "{folder}: files in circles:\n{}", shown.join("\n"));
    }
}

#[test]
fn no_folder_imports_one_above_it() {
    for (folder, levels) in LEVELS.into_iter().filter(|(_, levels)| !levels.is_empty()) {
        let top = |module: &str| module.split("::").next().unwrap().to_owned();
        let level = |module: &str| levels.iter().position(|level| *level == top(module));
        for (module, imports) in graph_of(folder) {
            let own = level(&module).unwrap_or_else(|| panic!("{module} has no level in {folder}"));
            for import in imports {
                let other = level(&import).unwrap_or_else(|| panic!("{import} has no level in {folder}"));
                assert!(other <= own, "{folder}: {module} imports {import}, which is above it");
            }
        }
    }
}

#[test]
fn circles_and_upward_imports_are_found() {
    let files = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    };
    let circle = graph(&files(&[
        ("a.rs", "use crate::b::{self, B};"),
        ("b.rs", "fn f() { crate::c::d::f() }"),
        ("c/d.rs", "use super::e::E;"),
        ("c/e.rs", "use crate::{a, c};"),
        ("c/mod.rs", "pub use crate::a::A;"),
        ("f.rs", "// use crate::a\n#[cfg(test)]\nmod tests { use crate::a; }"),
    ]));
    assert_eq!(in_circles(&circle), ["a", "b", "c::d", "c::e"].map(str::to_owned).into());
}
