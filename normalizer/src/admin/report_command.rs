//! [`report_command`]: the command that makes the report of a run. The live page shows this command instead of a report, because
//! the normalizer does not contain the report's code.

use std::path::Path;

use cli::shell::quoted;

/// The command for a POSIX shell. Without a run, it contains `RUN_ID`, which the user must replace.
pub fn report_command(out_dir: &Path, run_id: Option<&str>) -> String {
    // An absolute path works from any folder.
    let out_dir = std::path::absolute(out_dir).unwrap_or_else(|_| out_dir.to_owned());
    let folder = out_dir.join(run_id.unwrap_or("RUN_ID"));
    format!(
        "cctf report {} --out report.html",
        quoted(&folder.to_string_lossy())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_special_characters_is_one_word() {
        let command = |folder| report_command(Path::new(folder), Some("mine"));
        assert_eq!(command("/logs"), "cctf report /logs/mine --out report.html");
        assert_eq!(
            command("/my logs; rm -r '$HOME'"),
            r"cctf report '/my logs; rm -r '\''$HOME'\''/mine' --out report.html"
        );
        let unknown = report_command(Path::new("/logs"), None);
        assert_eq!(unknown, "cctf report /logs/RUN_ID --out report.html");
    }
}
