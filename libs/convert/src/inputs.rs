//! [`Input`]: the files to read, from the arguments: files, folders, patterns, and standard input.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rundir::UsageError;

/// Standard input as an argument.
const STDIN: &str = "-";
/// Maximum number of files. Their paths are in memory.
const FILES_MAX: usize = 1_000_000;
/// Files of a folder that `cctf export otlp` wrote: the assumptions, which are not telemetry and are left out, and the traces.
const EXPORTED: [&str; 2] = ["assumptions.json", "traces.jsonl"];
/// Maximum depth of folders.
const DEPTH_MAX: u32 = 64;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    /// The name of the file in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The size of the file, bytes; 0 if it is unknown.
    pub fn size(&self) -> u64 {
        match self {
            Self::Stdin => 0,
            Self::File(path) => fs::metadata(path).map_or(0, |data| data.len()),
        }
    }
}

/// The files of all arguments, in the order of the arguments. The files of a folder or a pattern are in the order of their names.
///
/// # Errors
/// A [`UsageError`] if an argument names no file.
pub fn files(arguments: &[String]) -> anyhow::Result<Vec<Input>> {
    let mut found = Vec::new();
    for argument in arguments {
        if argument == STDIN {
            if found.contains(&Input::Stdin) {
                return Err(UsageError("standard input (-) can be read only once".to_owned()).into());
            }
            found.push(Input::Stdin);
            continue;
        }
        let path = Path::new(argument);
        let paths = match fs::symlink_metadata(path) {
            Ok(_) => vec![path.to_owned()],
            Err(_) if argument.contains(['*', '?']) => matching(argument)?,
            Err(error) => {
                return Err(UsageError(format!("cannot read {argument}: {error}")).into());
            }
        };
        if paths.is_empty() {
            return Err(UsageError(format!("no file matches {argument}")).into());
        }
        for path in paths {
            add(path, 0, &mut found)?;
        }
    }
    Ok(found)
}

/// Adds a file, or all files of a folder. In a folder, hidden files, links to folders, and devices are left out.
fn add(path: PathBuf, depth: u32, found: &mut Vec<Input>) -> anyhow::Result<()> {
    let data = fs::metadata(&path)
        .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())))?;
    if !data.is_dir() {
        if found.len() >= FILES_MAX {
            return Err(UsageError(format!(
                "more than {FILES_MAX} files; convert them in several steps"
            ))
            .into());
        }
        found.push(Input::File(path));
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        let text = format!(
            "cannot read {}: more than {DEPTH_MAX} nested folders",
            path.display()
        );
        return Err(UsageError(text).into());
    }
    let [assumptions, telemetry] = EXPORTED.map(|name| path.join(name));
    let is_export = telemetry.is_file();
    for inside in sorted(&path)? {
        if is_export && inside == assumptions {
            continue;
        }
        let is_hidden = inside
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let kind = fs::symlink_metadata(&inside).map(|data| data.file_type());
        let is_wanted =
            kind.is_ok_and(|kind| kind.is_dir() || (kind.is_file() || kind.is_symlink()) && inside.is_file());
        if is_wanted && !is_hidden {
            add(inside, depth + 1, found)?;
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        paths.push(entry.with_context(cannot)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The paths that match a pattern: `*` stands for any characters of a name, `?` for one character.
fn matching(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let (start, pattern) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", pattern),
    };
    let mut paths = vec![PathBuf::from(start)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in paths {
            if !part.contains(['*', '?']) {
                next.push(path.join(part));
                continue;
            }
            let folder = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                &path
            };
            if !folder.is_dir() {
                continue;
            }
            for inside in sorted(folder)? {
                let name = inside
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                if (!name.starts_with('.') || part.starts_with('.'))
                    && is_match(part.as_bytes(), name.as_bytes())
                {
                    next.push(path.join(name));
                }
            }
        }
        paths = next;
    }
    paths.retain(|path| path.exists());
    Ok(paths)
}

/// Whether a name matches. A star first stands for nothing, and for one more character whenever the rest does not match.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut of_pattern, mut of_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while of_name < name.len() {
        match pattern.get(of_pattern) {
            Some(b'*') => {
                star = Some((of_pattern, of_name));
                of_pattern += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[of_name] => {
                of_pattern += 1;
                of_name += 1;
            }
            _ => match &mut star {
                Some((begin, taken)) => {
                    *taken += 1;
                    (of_pattern, of_name) = (*begin + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[of_pattern..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_and_patterns_are_read_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        for name in ["c.json", "b/2.json", "b/1.json", ".hidden", "a.json.gz"] {
            fs::write(at(name), "").unwrap();
        }
        symlink(folder.path(), at("b/circle")).unwrap();
        let text = |name: &str| at(name).to_str().unwrap().to_owned();
        let names = |arguments: &[String]| -> Vec<String> {
            let found = files(arguments).unwrap();
            let begin = folder.path().to_str().unwrap().len() + 1;
            found
                .iter()
                .map(|input| input.name()[begin..].to_owned())
                .collect()
        };
        let whole = folder.path().to_str().unwrap().to_owned();
        assert_eq!(names(&[whole]), ["a.json.gz", "b/1.json", "b/2.json", "c.json"]);
        assert_eq!(names(&[text("*.json")]), ["c.json"]);
        assert_eq!(
            names(&[text("?/*.js?n"), text("c.json")]),
            ["b/1.json", "b/2.json", "c.json"]
        );
        for missing in [text("none"), text("*.none")] {
            let error = files(std::slice::from_ref(&missing)).unwrap_err();
            assert!(
                error.is::<UsageError>() && error.to_string().contains(&missing),
                "{error}"
            );
        }
        assert!(files(&["-".to_owned(), "-".to_owned()]).is_err());
    }

    #[test]
    fn a_star_takes_as_much_as_the_rest_leaves() {
        assert!(is_match(b"a*b*c", b"aXbbYc") && is_match(b"*", b"") && is_match(b"a**", b"a"));
        assert!(!is_match(b"a*b", b"aXc") && !is_match(b"?", b"") && !is_match(b"a", b"ab"));
    }
}
