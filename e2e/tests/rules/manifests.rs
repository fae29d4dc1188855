//! Crates depend only on crates that crates.rs allows. Versions and lints are written in only one manifest.

use std::path::Path;

use e2e::sources::root;

use crate::assert_none;
use crate::crates::CRATES;
use crate::dependencies::{Dependency, dependencies, metadata};

#[test]
fn crates_depend_only_on_those_behind_them() {
    let packages: Vec<&str> = CRATES.iter().map(|member| member.package).collect();
    let mut findings = Vec::new();
    for member in CRATES {
        for Dependency { table, name, .. } in dependencies(&member.manifest()) {
            let is_ours = table == "[dependencies]" && packages.contains(&name.as_str());
            if is_ours && !member.may_depend_on(&name) {
                findings.push(format!("{} depends on {name}", member.folder));
            }
        }
    }
    assert_none(
        "dependencies that e2e/tests/rules/crates.rs does not allow",
        &findings,
    );
}

#[test]
fn every_version_is_written_once() {
    let mut findings = Vec::new();
    for member in CRATES {
        for Dependency { name, value, .. } in dependencies(&member.manifest()) {
            if !value.contains("workspace = true") {
                findings.push(format!("{}: {name} = {value}", member.folder));
            }
        }
    }
    assert_none("dependencies come from the workspace", &findings);
}

#[test]
fn every_crate_has_the_workspace_lints() {
    let without = CRATES
        .iter()
        .filter(|member| !member.manifest().contains("[lints]\nworkspace = true"));
    let findings: Vec<String> = without.map(|member| member.folder.to_owned()).collect();
    assert_none("[lints] workspace = true in each Cargo.toml", &findings);
}

#[test]
fn every_member_is_known_here() {
    let members = members();
    let mut listed: Vec<&str> = members.iter().map(|(folder, _)| folder.as_str()).collect();
    let mut known: Vec<&str> = CRATES.iter().map(|member| member.folder).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
    for member in CRATES {
        let has_package =
            |(folder, package): &(String, String)| folder == member.folder && package == member.package;
        assert!(members.iter().any(has_package), "{}", member.folder);
    }
}

/// Folder and name of each package of the workspace.
fn members() -> Vec<(String, String)> {
    let root = root().canonicalize().unwrap();
    metadata(&["--no-deps"])["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest.parent().unwrap().strip_prefix(&root).unwrap();
            (
                folder.to_str().unwrap().to_owned(),
                package["name"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}
