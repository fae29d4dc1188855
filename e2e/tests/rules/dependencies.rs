//! Dependencies have a compatible licence and only one version each, and all are used.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use e2e::sources::{below, read, root};
use serde_json::Value;

use crate::assert_none;
use crate::crates::{CRATES, Member};

const LINUX: &str = "x86_64-unknown-linux-gnu";

/// Licences under which a binary of this project may contain a crate. All are permissive and compatible with Apache-2.0.
const LICENCES: [&str; 12] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "0BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "Apache-2.0 WITH LLVM-exception",
];

/// Further licences of npm packages. Only tests and examples run them, and nothing that is released contains them.
const NPM_LICENCES: [&str; 2] = ["BlueOak-1.0.0", "MPL-2.0"];

/// Crates that no build on Linux contains. `cargo metadata` nevertheless lists them, because it combines the features of all
/// platforms.
const NOT_BUILT: [&str; 1] = ["tiny-keccak"];

/// Crates of which the build contains several versions, and the dependencies that need the other version.
const DUPLICATES: [(&str, &str); 13] = [
    ("base64", "pem, of rcgen: tests only"),
    ("bit-set", "proptest and jsonschema: tests only"),
    ("bit-vec", "proptest and jsonschema: tests only"),
    ("embedded-io", "postcard"),
    ("getrandom", "rand, tempfile and ring"),
    ("h2", "actix-http"),
    ("http", "actix-http"),
    ("itertools", "criterion and prost: build and tests only"),
    ("num-bigint", "jsonschema: tests only"),
    ("rand", "proptest: tests only"),
    ("rand_core", "proptest: tests only"),
    ("syn", "derive macros: build only"),
    ("synstructure", "derive macros: build only"),
];

#[test]
fn every_dependency_has_a_licence_that_may_be_combined_with_ours() {
    let built = tree();
    for name in NOT_BUILT {
        assert!(!built.contains(&format!("\n{name} v")), "{name} is built");
    }
    let findings = packages().into_iter().filter_map(|package| {
        let licence = package["license"].as_str().unwrap_or("none");
        let is_built = package["name"]
            .as_str()
            .is_none_or(|name| !NOT_BUILT.contains(&name));
        (is_built && !is_allowed(licence)).then(|| format!("{}: {licence}", package["name"]))
    });
    assert_none("licences of dependencies", &findings.collect::<Vec<_>>());
}

#[test]
fn every_npm_package_has_a_licence_under_which_it_may_be_run() {
    let mut findings = Vec::new();
    for lock in ["e2e/browser/package-lock.json", "examples/node/package-lock.json"] {
        let lock: Value = serde_json::from_str(&read(lock).unwrap()).unwrap();
        for (path, package) in lock["packages"].as_object().unwrap() {
            let licence = package["license"].as_str().unwrap_or("none");
            // The package with an empty path is the project's own.
            let is_foreign = !path.is_empty();
            if is_foreign && !NPM_LICENCES.contains(&licence) && !is_allowed(licence) {
                findings.push(format!("{path}: {licence}"));
            }
        }
    }
    assert_none("licences of npm packages", &findings);
}

#[test]
fn no_dependency_is_built_in_two_versions_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    versions.retain(|_, versions| versions.len() > 1);
    let known: BTreeSet<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    let mut findings: Vec<String> = versions
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()))
        .map(|(name, versions)| format!("{name}: {versions:?}"))
        .collect();
    let gone = known.iter().filter(|name| !versions.contains_key(**name));
    findings.extend(gone.map(|name| format!("{name} has one version now: remove it from the list")));
    assert_none("crates in more than one version", &findings);
}

#[test]
fn every_dependency_is_used() {
    let mut findings = Vec::new();
    for member in CRATES {
        let own = format!("{}/src/", member.folder);
        let sources = below(&format!("{}/", member.folder), ".rs").unwrap();
        let is_used = |name: &str, in_tests: bool| {
            let ours = CRATES.iter().find(|member| member.package == name);
            let library = ours.map_or_else(|| name.replace('-', "_"), Member::library);
            sources
                .iter()
                .filter(|source| in_tests || source.path.starts_with(&own))
                .flat_map(|source| words(&source.text))
                .any(|word| word == library)
        };
        for Dependency { table, name, .. } in dependencies(&member.manifest()) {
            if !is_used(&name, table == "[dev-dependencies]") {
                findings.push(format!("{}: {name} in {table}", member.folder));
            }
        }
    }
    assert_none("unused dependencies", &findings);
}

#[test]
fn licence_expressions_are_evaluated() {
    for allowed in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "none",
        "(GPL-3.0 OR MPL-2.0) AND MIT",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

/// The output of `cargo metadata`.
pub fn metadata(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(args)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The crates of all builds on Linux, with the features that cargo selects. Each is on its own line.
fn tree() -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--workspace", "--prefix", "none"])
        .args(["--target", LINUX, "--edges", "normal,build,dev"])
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\nserde v"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// All crates of a build on Linux, except for the workspace's.
fn packages() -> Vec<Value> {
    let metadata = metadata(&["--filter-platform", LINUX]);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let built: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let foreign = packages.iter().filter(|package| {
        let is_built = package["id"].as_str().is_some_and(|id| built.contains(id));
        is_built && !package["source"].is_null()
    });
    foreign.cloned().collect()
}

/// Evaluates an SPDX expression. The older form with `/` means OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    split(&expression, " AND ").iter().all(|part| {
        let inner = part.strip_prefix('(').and_then(|part| part.strip_suffix(')'));
        match inner {
            Some(inner) => is_allowed(inner),
            None => split(part, " OR ")
                .iter()
                .any(|licence| LICENCES.contains(&licence.trim())),
        }
    })
}

/// Splits a text at a word that is not in parentheses.
fn split(expression: &str, word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    let mut rest = expression;
    while let Some(next) = rest.chars().next() {
        if depth == 0
            && let Some(behind) = rest.strip_prefix(word)
        {
            parts.push(String::new());
            rest = behind;
            continue;
        }
        depth += i32::from(next == '(') - i32::from(next == ')');
        if let Some(last) = parts.last_mut() {
            last.push(next);
        }
        rest = &rest[next.len_utf8()..];
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// The identifiers of a source.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// A dependency in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the table with its brackets.
    pub table: String,
    pub name: String,
    /// Text after the name. For `name.workspace = true` it is `workspace = true`.
    pub value: String,
}

pub fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            table = line;
        } else if table.ends_with("dependencies]")
            && !line.starts_with('#')
            && let Some((name, value)) = line.split_once(" = ")
        {
            let (name, value) = match name.strip_suffix(".workspace") {
                Some(name) => (name, format!("workspace = {value}")),
                None => (name, value.to_owned()),
            };
            found.push(Dependency {
                table: table.to_owned(),
                name: name.to_owned(),
                value,
            });
        }
    }
    found
}

#[test]
fn a_dependency_is_read_in_both_its_forms() {
    let text = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# b = 1\nc = { version = \"1\" }\n[[bin]]\nd = 1\n";
    let expected =
        [("a", "workspace = true"), ("c", "{ version = \"1\" }")].map(|(name, value)| Dependency {
            table: "[dependencies]".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        });
    assert_eq!(dependencies(text), expected);
}
