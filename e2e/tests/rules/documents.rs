//! Checks the statements in documents that a program can check: links, commands, targets, and the code map.

use std::collections::BTreeSet;

use e2e::binaries;
use e2e::sources::{below, read, root};

use crate::assert_none;
use crate::crates::CRATES;

#[test]
fn every_link_leads_somewhere() {
    let mut findings = Vec::new();
    for source in below("", ".md").unwrap() {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&source.text) {
            let path = link.split('#').next().unwrap_or_default();
            let outside = link.contains("://") || link.starts_with("mailto:") || path.is_empty();
            if !outside && !root().join(folder).join(path).exists() {
                findings.push(format!("{}: {link}", source.path));
            }
        }
    }
    assert_none("links in documents", &findings);
}

#[test]
fn make_alone_prints_every_target() {
    let makefile = read("Makefile").unwrap();
    let helped: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains(": ") && line.contains(" ## "))
        .filter_map(target)
        .collect();
    let declared = makefile.replace("\\\n", " ");
    let phony = declared
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY:"))
        .unwrap();
    // Targets that are used only by other targets.
    let inner = |name: &&str| name.starts_with("need-") || name.ends_with("-tools");
    let public: BTreeSet<&str> = phony.split_whitespace().filter(|name| !inner(name)).collect();
    assert_eq!(helped, public);
    for wanted in [
        "setup",
        "build",
        "real-all",
        "real-chain",
        "stop",
        "clean",
        "check",
        "test",
        "bench",
        "fidelity",
    ] {
        assert!(public.contains(wanted), "{wanted}");
    }
}

#[test]
fn make_fidelity_measures_the_given_parts() {
    let dry_run = |parts: &str| {
        let mut make = std::process::Command::new("make");
        // This test can run under make. The variables of that make must not apply here.
        let make = make
            .args(["--dry-run", "fidelity", parts])
            .env_remove("MAKEFLAGS")
            .current_dir(root());
        let output = make.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let some = dry_run("PARTS=lindley,crowd");
    assert!(some.contains("--only lindley,crowd"), "{some}");
    assert!(!some.contains("scripts/collector"), "{some}");
    let all = dry_run("PARTS=");
    assert!(
        all.contains("scripts/collector") && !all.contains("--only"),
        "{all}"
    );
    assert!(dry_run("PARTS=hosts").contains("scripts/collector"));
}

#[test]
fn every_make_command_in_a_document_exists() {
    let makefile = read("Makefile").unwrap();
    let targets: BTreeSet<&str> = makefile.lines().filter_map(target).collect();
    let mut findings = Vec::new();
    for source in below("", ".md").unwrap() {
        for words in commands(&source.text, "make") {
            for word in words
                .iter()
                .take_while(|word| !["&&", "|", "#", ">"].contains(&word.as_str()))
            {
                let known = match word.split_once('=') {
                    Some((variable, _)) => makefile.contains(&format!("\n{variable} ?=")),
                    None => targets.contains(word.as_str()),
                };
                if !known {
                    findings.push(format!("{}: make {}", source.path, words.join(" ")));
                }
            }
        }
    }
    assert_none("make commands in documents", &findings);
}

#[test]
fn every_subcommand_in_a_document_exists() {
    let help = binaries::cctf(&["--help"]).unwrap().stdout;
    let known: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .collect();
    assert!(known.contains("run") && known.contains("validate"), "{help}");
    let mut findings = Vec::new();
    for source in below("", ".md").unwrap() {
        for words in commands(&source.text, "cctf") {
            let subcommand = words.first().map_or("", String::as_str);
            if !known.contains(subcommand) && !subcommand.starts_with('-') {
                findings.push(format!("{}: cctf {}", source.path, words.join(" ")));
            }
        }
    }
    assert_none("cctf commands in documents", &findings);
}

#[test]
fn ci_runs_what_the_readme_says() {
    let script = read(".ci/run").unwrap();
    let readme = read("README.md").unwrap();
    let ran: Vec<&str> = script.lines().filter(|line| line.starts_with("make ")).collect();
    assert_eq!(ran, ["make test"]);
    assert!(readme.contains("make test"));
    assert!(
        !script.contains("cargo "),
        "CI does nothing that the README does not say"
    );
    assert!(read(".github/workflows/ci.yml").unwrap().contains("bash .ci/run"));
}

#[test]
fn the_code_map_names_every_module_and_nothing_else() {
    let map = read("ARCHITECTURE.md").unwrap();
    let mut findings = Vec::new();
    for member in CRATES {
        for source in member.sources() {
            let inner = source
                .path
                .strip_prefix(&format!("{}/src/", member.folder))
                .unwrap_or_default();
            let module = inner
                .split('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".rs");
            if !["lib", "main", "bin"].contains(&module) && !map.contains(&format!("`{module}`")) {
                findings.push(format!("{}: `{module}` is not in ARCHITECTURE.md", source.path));
            }
        }
    }
    for path in
        inline_code(&map).filter(|code| code.contains('/') && !code.contains([' ', '<', '{', '*', ':']))
    {
        let is_route = path.starts_with('/');
        if !is_route && !path.starts_with("logs/") && !root().join(path).exists() {
            findings.push(format!("ARCHITECTURE.md: {path} is not there"));
        }
    }
    assert_none("ARCHITECTURE.md", &findings);
}

#[test]
fn every_variable_of_opentelemetry_that_is_read_is_documented() {
    let page = read("docs/sending.md").unwrap();
    let mut findings = Vec::new();
    let mut count = 0;
    for member in CRATES {
        for source in member.sources() {
            let literals = source.text.split('"').skip(1).step_by(2);
            for name in literals.filter(|text| text.starts_with("OTEL_") && !text.ends_with('_')) {
                let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
                count += usize::from(is_name);
                if is_name && !["OTEL_X"].contains(&name) && !page.contains(&format!("`{name}`")) {
                    // The variable for all signals also documents the variable for one signal.
                    let general = name.replace("_TRACES_", "_").replace("_METRICS_", "_");
                    if !page.contains(&format!("`{general}`")) {
                        findings.push(format!("{}: {name}", source.path));
                    }
                }
            }
        }
    }
    assert!(count > 20, "the search has lost the variables: {count}");
    assert_none("variables of OpenTelemetry in docs/sending.md", &findings);
}

#[test]
fn commands_are_found_in_blocks_and_in_lines() {
    let text = "Run `make a B=1` or\n```\nmake c   # why\ncd x && make d\nmaker e\n```\n";
    let found: Vec<String> = commands(text, "make")
        .iter()
        .map(|words| words.join(" "))
        .collect();
    assert_eq!(found, ["a B=1", "c # why", "d"]);
    assert_eq!(
        links("[a](b.md) and [c](https://d) ![e](f.png)"),
        ["b.md", "https://d", "f.png"]
    );
}

/// The target that a line of the Makefile defines.
fn target(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    plain.then_some(name)
}

fn links(markdown: &str) -> Vec<&str> {
    let ends = markdown.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
        .filter(|link| !link.contains(' '))
        .collect()
}

fn inline_code(markdown: &str) -> impl Iterator<Item = &str> {
    markdown
        .lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The words after each call of a program, in code blocks and in code within text.
fn commands(markdown: &str, program: &str) -> Vec<Vec<String>> {
    let mut pieces = Vec::new();
    let mut in_block = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            pieces.push(line.to_owned());
        } else {
            pieces.extend(inline_code(line).map(str::to_owned));
        }
    }
    let calls = pieces
        .iter()
        .flat_map(|piece| piece.split("&&"))
        .filter_map(|piece| {
            let words: Vec<&str> = piece.split_whitespace().collect();
            let own = words.first()?.rsplit('/').next() == Some(program);
            (own && words.len() > 1).then(|| words[1..].iter().map(|word| (*word).to_owned()).collect())
        });
    calls.collect()
}
