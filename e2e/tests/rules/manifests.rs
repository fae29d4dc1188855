//! Who may depend on whom among the crates, and that versions and lints are written once.

use e2e::sources::read;

use crate::assert_none;

/// Each crate's folder, and the crates of this workspace that it may depend on.
const CRATES: [(&str, &[&str]); 7] = [
    ("proto", &[]),
    ("otlp-send", &[]),
    ("rundir", &["cctf-proto"]),
    ("service", &["cctf-proto", "otlp-send"]),
    ("normalizer", &["cctf-proto"]),
    (
        "cctf",
        &["cctf-proto", "cctf-normalizer", "cctf-rundir", "otlp-send"],
    ),
    (
        "e2e",
        &[
            "cctf-proto",
            "cctf-normalizer",
            "otlp-send",
            "cctf-rundir",
            "cctf",
            "tunable-svc",
        ],
    ),
];
const OURS: [&str; 7] = [
    "cctf-proto",
    "otlp-send",
    "cctf-rundir",
    "tunable-svc",
    "cctf-normalizer",
    "cctf",
    "e2e",
];

#[test]
fn crates_depend_only_on_those_behind_them() {
    let mut findings = Vec::new();
    for (folder, allowed) in CRATES {
        for name in dependencies(&manifest(folder)).iter().map(|(name, _)| name) {
            if OURS.contains(&name.as_str()) && !allowed.contains(&name.as_str()) {
                findings.push(format!("{folder} depends on {name}"));
            }
        }
    }
    assert_none(
        "service → otlp-send, proto; normalizer → proto; rundir → proto; cctf → normalizer, rundir, otlp-send, proto; e2e → all",
        &findings,
    );
}

#[test]
fn every_version_is_written_once() {
    let mut findings = Vec::new();
    for (folder, _) in CRATES {
        for (name, value) in dependencies(&manifest(folder)) {
            if !value.contains("workspace = true") {
                findings.push(format!("{folder}: {name} = {value}"));
            }
        }
    }
    assert_none("dependencies come from the workspace", &findings);
}

#[test]
fn every_crate_has_the_workspace_lints() {
    let without = CRATES
        .iter()
        .filter(|(folder, _)| !manifest(folder).contains("[lints]\nworkspace = true"));
    let findings: Vec<String> = without.map(|(folder, _)| (*folder).to_owned()).collect();
    assert_none("[lints] workspace = true in each Cargo.toml", &findings);
}

#[test]
fn every_member_is_known_here() {
    let members = read("Cargo.toml").unwrap();
    let members = members
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap()
        .to_owned();
    let mut told: Vec<&str> = members
        .trim_matches(['[', ']'])
        .split(", ")
        .map(|name| name.trim_matches('"'))
        .collect();
    let mut known: Vec<&str> = CRATES.iter().map(|(folder, _)| *folder).collect();
    told.sort_unstable();
    known.sort_unstable();
    assert_eq!(told, known);
}

#[test]
fn a_dependency_is_read_in_both_its_forms() {
    let text = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# b = 1\nc = { version = \"1\" }\n[[bin]]\nd = 1\n";
    let expected = [("a", "workspace = true"), ("c", "{ version = \"1\" }")];
    assert_eq!(
        dependencies(text),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

fn manifest(folder: &str) -> String {
    read(&format!("{folder}/Cargo.toml")).unwrap()
}

/// Name and value of each line in a table of dependencies; `name.workspace = true` has the value `workspace = true`.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut in_table = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_table = line.ends_with("dependencies]");
        } else if let Some((name, value)) = line
            .split_once(" = ")
            .filter(|_| in_table && !line.starts_with('#'))
        {
            let (name, value) = match name.strip_suffix(".workspace") {
                Some(name) => (name, format!("workspace = {value}")),
                None => (name, value.to_owned()),
            };
            found.push((name.to_owned(), value));
        }
    }
    found
}
