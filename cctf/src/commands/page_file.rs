//! [`check_out`], [`write_page`]: check and write the file of a page; [`check_file`]: checks the path of any kind of result.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use cli::shell::quoted;
use rundir::output::replace_whole;

use super::UsageError;
use super::cells::{counted, printable};

/// A kind of result that is one file.
pub struct Kind {
    /// The first bytes of such a file. A file with other content is not an earlier result, and must not be overwritten.
    pub begin: &'static str,
    /// Name of the kind with its article, for errors.
    pub name: &'static str,
}

const PAGE: Kind = Kind {
    begin: "<!doctype html>",
    name: "an HTML page",
};

/// Refuses a path to which no page can be written. Called before the runs are read, which takes long.
pub fn check_out(out: &Path) -> Result<(), UsageError> {
    check_file(out, &PAGE)
}

/// Refuses a path to which no result of this kind can be written. An earlier result may be replaced.
pub fn check_file(out: &Path, kind: &Kind) -> Result<(), UsageError> {
    let refused = |cause: &str| {
        Err(UsageError(format!(
            "cannot write {}: {cause}; choose another path with --out",
            printable(&out.to_string_lossy())
        )))
    };
    match fs::metadata(out) {
        Ok(found) if found.is_dir() => return refused("it is a folder"),
        Ok(found) if !found.is_file() => return refused("it is not a regular file"),
        Ok(found) if found.len() > 0 && !is_earlier(out, kind) => {
            return refused(&format!("it exists and is not {}", kind.name));
        }
        Err(_) if out.is_symlink() => return refused("it is a link that leads nowhere"),
        _ if out.file_name().is_none() => return refused("it has no file name"),
        _ if out.as_os_str().as_encoded_bytes().ends_with(b"/") => return refused("it names a folder"),
        _ => {}
    }
    match fs::metadata(folder_of(out)) {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => refused("its folder is a file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => refused("its folder does not exist"),
        Err(error) => refused(&error.to_string()),
    }
}

/// Whether a file seems to be an earlier result, which may be replaced.
fn is_earlier(path: &Path, kind: &Kind) -> bool {
    let mut begin = vec![0; kind.begin.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    read.is_ok() && begin == kind.begin.as_bytes()
}

fn folder_of(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Replaces the file with a page of this number of runs. Returns a line for the user.
///
/// # Errors
/// If the file cannot be written. An earlier page then stays unchanged.
pub fn write_page(out: &Path, html: &str, runs: usize) -> anyhow::Result<String> {
    replace_whole(out, html.as_bytes())?;
    Ok(summary(out, html.len(), runs))
}

fn summary(out: &Path, bytes: usize, runs: usize) -> String {
    let path = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let path = printable(&path.to_string_lossy());
    format!(
        "{path}: {}, {:.0} KB; open it in a browser, for example: xdg-open {}\n",
        counted(runs, "run"),
        bytes as f64 / 1e3,
        quoted(&path)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_opens_a_page_takes_any_path() {
        let text = summary(Path::new("/it's here/page.html"), 1000, 1);
        assert!(text.ends_with("xdg-open '/it'\\''s here/page.html'\n"), "{text}");
    }

    #[test]
    fn only_a_file_in_an_existing_folder_can_become_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(check_out(&path("new.html")).is_ok());
        fs::write(path("old.html"), "<!doctype html>\n<html></html>").unwrap();
        assert!(check_out(&path("old.html")).is_ok());
        fs::write(path("calls.jsonl"), "{\"trace_id\":1}\n").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        for refused in [
            folder.path().to_owned(),
            path("none/new.html"),
            path("new.html/"),
            path("old.html/new.html"),
            path("calls.jsonl"),
            path("link"),
            "/dev/null".into(),
            "..".into(),
        ] {
            let error = check_out(&refused).unwrap_err().to_string();
            assert!(error.starts_with("cannot write "), "{error}");
        }
    }
}
