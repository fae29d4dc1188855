//! Checks that the tests that docs/otlp.md names exist.

use std::fs;
use std::path::Path;

/// The text of all Rust sources in a folder and its subfolders.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

#[test]
fn every_test_in_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("docs/otlp.md")).unwrap();
    let sources: String = ["normalizer/src", "normalizer/tests", "proto/tests", "e2e/tests"]
        .iter()
        .map(|folder| sources(&root.join(folder)))
        .collect();
    let last_cells = table
        .lines()
        .filter_map(|line| line.strip_suffix(" |")?.rsplit_once('|'));
    let named: Vec<&str> = last_cells
        .flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 40, "the table has shrunk to {named:?}");
    let gone: Vec<&&str> = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(gone.is_empty(), "no such test: {gone:?}");
}
