//! Circles of files: each file uses the next one, and the last one uses the first one. So none of them can be understood by
//! itself.

use std::collections::{BTreeMap, BTreeSet};

use e2e::sources::Source;

use crate::assert_none;
use crate::code::{code, named};
use crate::crates::CRATES;

/// Files that may form a circle, and the reason. If a module is in no circle any more, it has to be removed from the list.
struct Circle {
    root: &'static str,
    modules: &'static [&'static str],
    reason: &'static str,
}

const fn circle(root: &'static str, modules: &'static [&'static str], reason: &'static str) -> Circle {
    Circle {
        root,
        modules,
        reason,
    }
}

/// The list of circles. `crate` is the file of the crate itself.
const CIRCLES: &[Circle] = &[
    circle(
        "proto/src/",
        &[
            "cctf::ids",
            "cctf::milliseconds",
            "cctf::row",
            "cctf::treatment",
            "cctf::value",
        ],
        "a row consists of values, a value can be a row, and each is replaced by its treatment",
    ),
    circle(
        "service/src/",
        &[
            "endpoints",
            "endpoints::blob_gunzip",
            "endpoints::blob_gzip",
            "endpoints::hash_sha256",
            "endpoints::json_validate",
            "endpoints::kv_get",
            "endpoints::kv_set",
            "endpoints::work",
        ],
        "the table of endpoints names each, and each returns the table's type",
    ),
];

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut findings = Vec::new();
    let mut left: BTreeSet<(&str, &str)> = CIRCLES
        .iter()
        .flat_map(|circle| circle.modules.iter().map(|module| (circle.root, *module)))
        .collect();
    for member in CRATES {
        for (root, sources) in roots(member.sources()) {
            for circle in Modules::new(&root, &sources).circles() {
                let is_known = |known: &&Circle| {
                    known.root == root
                        && circle
                            .iter()
                            .all(|module| known.modules.contains(&module.as_str()))
                };
                let known = CIRCLES.iter().find(is_known);
                left.retain(|(in_root, module)| *in_root != root || !circle.contains(*module));
                if known.is_none_or(|known| known.reason.is_empty()) {
                    findings.push(format!("{root}: {}", Vec::from_iter(circle).join(", ")));
                }
            }
        }
    }
    assert_none("files that use each other", &findings);
    let left: Vec<String> = left
        .iter()
        .map(|(root, module)| format!("{root}: {module}"))
        .collect();
    assert_none("in no circle by now: remove them from CIRCLES", &left);
}

/// The files of a library and of each program, by their folder.
fn roots(sources: Vec<Source>) -> BTreeMap<String, Vec<Source>> {
    let mut roots: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for source in sources
        .into_iter()
        .filter(|source| !source.path.ends_with("tests.rs"))
    {
        let (before, inner) = source.path.split_once("/src/").unwrap();
        let root = match inner.strip_prefix("bin/").and_then(|inner| inner.split_once('/')) {
            Some((program, _)) => format!("{before}/src/bin/{program}/"),
            None => format!("{before}/src/"),
        };
        roots.entry(root).or_default().push(source);
    }
    roots
}

/// Modules of a crate by path, with the paths that each one names.
struct Modules(BTreeMap<String, Module>);

#[derive(Default)]
struct Module {
    /// Paths relative to the crate.
    uses: Vec<String>,
    /// Names that it re-exports, with their paths relative to the crate.
    passed_on: BTreeMap<String, String>,
}

impl Modules {
    fn new(root: &str, sources: &[Source]) -> Self {
        let path_of = |source: &Source| module_path(source.path.strip_prefix(root).unwrap());
        let paths: BTreeSet<String> = sources.iter().map(path_of).collect();
        // If there is a library, it represents the crate, because the program only calls it.
        let is_library = sources.iter().any(|source| source.path.ends_with("/src/lib.rs"));
        let sources = sources
            .iter()
            .filter(|source| !(is_library && source.path.ends_with("/src/main.rs")));
        let modules = sources.map(|source| {
            let path = path_of(source);
            let module = Module::read(&path, &source.text, &paths);
            (path, module)
        });
        Self(modules.collect())
    }

    /// The module that contains the item at a path, as far as it is known.
    fn module_of(&self, path: &str, depth: usize) -> String {
        let mut current = String::new();
        for segment in path.split("::") {
            let inner = join(&current, segment);
            if self.0.contains_key(&inner) {
                current = inner;
                continue;
            }
            // A name may be re-exported several times. The depth limits the search.
            return match self
                .0
                .get(&current)
                .and_then(|module| module.passed_on.get(segment))
            {
                Some(path) if depth < 8 => self.module_of(path, depth + 1),
                _ => current,
            };
        }
        current
    }

    /// All modules that a module uses, directly or through others.
    fn reached_from(&self, start: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start.to_owned()];
        while let Some(module) = open.pop() {
            let uses = self.0.get(&module).map(|module| &module.uses);
            for used in uses.into_iter().flatten().map(|path| self.module_of(path, 0)) {
                if used != module && reached.insert(used.clone()) {
                    open.push(used);
                }
            }
        }
        reached
    }

    fn circles(&self) -> BTreeSet<BTreeSet<String>> {
        let reached: BTreeMap<&String, BTreeSet<String>> = self
            .0
            .keys()
            .map(|module| (module, self.reached_from(module)))
            .collect();
        let is_circular = |module: &&String| reached[*module].contains(*module);
        let shown = |module: &String| match module.as_str() {
            "" => "crate".to_owned(),
            _ => module.clone(),
        };
        self.0
            .keys()
            .filter(is_circular)
            .map(|module| {
                let others = reached[module].iter();
                others
                    .filter(|other| reached.get(other).is_some_and(|back| back.contains(module)))
                    .map(shown)
                    .collect()
            })
            .collect()
    }
}

impl Module {
    fn read(own: &str, text: &str, paths: &BTreeSet<String>) -> Self {
        let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
        let grandparent = parent.rsplit_once("::").map_or("", |(parent, _)| parent);
        let mut module = Self::default();
        for (_, line) in code(text) {
            let mut found: Vec<String> = named(&line, "crate::");
            let relative = [
                ("super::super::", grandparent),
                ("super::", parent),
                ("self::", own),
            ];
            for (prefix, base) in relative {
                found.extend(named(&line, prefix).iter().map(|path| join(base, path)));
            }
            // Names of inner modules need no prefix.
            for inner in paths.iter().filter_map(|path| inner_module(own, path)) {
                let prefix = format!("{inner}::");
                found.extend(
                    named(&line, &prefix)
                        .iter()
                        .map(|path| join(own, &join(inner, path))),
                );
            }
            found.retain(|path| !path.starts_with("super::") && !path.contains("::super"));
            let is_passed_on = line.trim_start().starts_with("pub") && line.contains(" use ");
            if is_passed_on {
                let names = found
                    .into_iter()
                    .map(|path| (path.rsplit("::").next().unwrap_or_default().to_owned(), path));
                module.passed_on.extend(names);
            } else {
                module.uses.append(&mut found);
            }
        }
        module
    }
}

/// The path of a file's module. The crate itself has the empty path.
fn module_path(file: &str) -> String {
    let path = file.trim_end_matches(".rs");
    let path = match path {
        "lib" | "main" | "mod" => "",
        _ => path.strip_suffix("/mod").unwrap_or(path),
    };
    path.replace('/', "::")
}

/// The name of a module that is directly in another one.
fn inner_module<'a>(outer: &str, path: &'a str) -> Option<&'a str> {
    let inner = match outer {
        "" => path,
        _ => path.strip_prefix(outer)?.strip_prefix("::")?,
    };
    (!inner.is_empty() && !inner.contains("::")).then_some(inner)
}

fn join(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", path) | (path, "self" | "") => path.to_owned(),
        _ => format!("{outer}::{inner}"),
    }
}

#[test]
fn a_circle_is_found_through_names_that_are_passed_on() {
    let source = |path: &str, text: &str| Source {
        path: format!("x/src/{path}"),
        text: text.to_owned(),
    };
    let sources = [
        source("lib.rs", "mod a;\nmod b;\npub use b::B;\nmod c;\n"),
        source("a.rs", "use super::B;\n"),
        source("b/mod.rs", "mod d;\nfn f() { d::e() }\n"),
        source("b/d.rs", "use crate::{a::A, c};\n"),
        source("c.rs", "use crate::a::A;\n"),
    ];
    let circles = Modules::new("x/src/", &sources).circles();
    let circle = ["a", "b", "b::d", "c"].map(str::to_owned);
    assert_eq!(circles, BTreeSet::from([BTreeSet::from(circle)]));
    let free = Modules::new("x/src/", &sources[..3]);
    assert_eq!(free.circles(), BTreeSet::new());
}
