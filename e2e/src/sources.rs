//! The repository's own files, for the tests of the project's rules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Folders of generated files.
const NOT_OURS: [&str; 5] = [".git", "target", "logs", "bin", "node_modules"];
/// Extensions of files that are written by hand. Files without an extension are also written by hand.
const ENDINGS: [&str; 8] = ["rs", "md", "toml", "yml", "yaml", "py", "sh", "txt"];

/// A file of the repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path relative to the repository's root, with `/` as separator.
    pub path: String,
    pub text: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files that are written by hand, sorted by path.
pub fn all() -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    collect(&root(), "", &is_written, &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// All text files, sorted by path. They include recorded and generated files.
pub fn texts() -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    collect(&root(), "", &|_| true, &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Files that are written by hand and whose path begins with `folder` and ends with `ending`.
pub fn below(folder: &str, ending: &str) -> anyhow::Result<Vec<Source>> {
    let mut found = all()?;
    found.retain(|source| source.path.starts_with(folder) && source.path.ends_with(ending));
    Ok(found)
}

pub fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

fn collect(
    folder: &Path,
    prefix: &str,
    is_wanted: &dyn Fn(&str) -> bool,
    found: &mut Vec<Source>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            // Folders of tools begin with a dot and are not committed. These two folders are the exceptions.
            let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            // `src/bin` contains the sources of programs. Every other folder `bin` contains built files.
            let is_ours = !NOT_OURS.contains(&name.as_str()) || path.ends_with("src/bin");
            if !hidden && is_ours {
                collect(&entry.path(), &format!("{path}/"), is_wanted, found)?;
            }
        } else if name != ".git" && is_wanted(&name) {
            // Skips files that are not text.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                found.push(Source { path, text });
            }
        }
    }
    Ok(())
}

fn is_written(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, ending)) => ENDINGS.contains(&ending),
        None => name != "LICENSE",
    }
}
