//! `cctf completions` and `cctf man`: completions for every shell and manual pages contain every subcommand and its flags.

use std::fs;
use std::process::{Command, Stdio};

use crate::{cctf, stderr};

fn stdout(args: &[&str]) -> String {
    let output = cctf(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Names of the subcommands in the help.
fn subcommands() -> Vec<String> {
    let help = stdout(&["--help"]);
    let list = help.split_once("Commands:\n").unwrap().1;
    list.lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_shell_gets_a_script_with_all_subcommands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        for name in subcommands() {
            assert!(script.contains(&name), "{shell}: {name}");
        }
        assert!(script.contains("from-start"), "{shell}");
    }
}

#[test]
fn bash_completes_subcommands_and_flags() {
    let script = stdout(&["completions", "bash"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cctf.bash");
    fs::write(&path, script).unwrap();
    let complete = |words: &str, count: usize| {
        let text = format!(
            "set -e; source {}; COMP_WORDS=({words}); COMP_CWORD={count}; _cctf cctf \"${{COMP_WORDS[{count}]}}\" x; echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &text])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("cctf tr", 1), "trace\n");
    assert_eq!(complete("cctf ls --val", 2), "--validate\n");
}

#[test]
fn every_subcommand_has_a_page_with_its_help() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    assert_eq!(stdout(&["man", "--out", out.to_str().unwrap()]), "");
    for name in subcommands().iter().filter(|name| *name != "help") {
        let page = fs::read_to_string(out.join(format!("cctf-{name}.1"))).unwrap();
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("Exit codes:"),
            "{name}"
        );
    }
    // The subcommands of event have their own pages.
    assert!(out.join("cctf-event-scale.1").exists());
    let own = fs::read_to_string(out.join("cctf.1")).unwrap();
    assert_eq!(stdout(&["man"]), own);
    // The files must be the same each time, because a release contains them.
    let again = folder.path().join("again");
    stdout(&["man", "--out", again.to_str().unwrap()]);
    assert_eq!(
        fs::read_to_string(again.join("cctf-run.1")).unwrap(),
        fs::read_to_string(out.join("cctf-run.1")).unwrap()
    );
}

#[test]
fn an_unknown_shell_and_an_impossible_folder_are_errors() {
    let output = cctf(&["completions", "tcsh"]).output().unwrap();
    let error = stderr(&output);
    assert!(
        output.status.code() == Some(2) && error.contains("possible values: bash"),
        "{error}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = cctf(&["man", "--out"])
        .arg(file.path().join("x"))
        .output()
        .unwrap();
    let error = stderr(&output);
    assert!(
        output.status.code() == Some(1) && error.contains("cannot write pages to "),
        "{error}"
    );
}
