//! Imports between the normalizer's modules, and modules without I/O.

use e2e::sources::{Source, below};

use crate::assert_none;
use crate::code::{code, named};

/// A module of the normalizer, and the paths in its crate and in the contract crate that it may use.
struct Module {
    name: &'static str,
    may_use: &'static [&'static str],
    proto: &'static [&'static str],
    pure: bool,
}

/// receiver → journal → pipeline → {mapping, join}. The sink uses only the output of the pipeline.
const MODULES: [Module; 6] = [
    Module {
        name: "receiver",
        may_use: &["journal"],
        proto: &["otlp", "keys", "log_line"],
        pure: false,
    },
    Module {
        name: "journal",
        may_use: &[],
        proto: &["log_line"],
        pure: false,
    },
    Module {
        name: "pipeline",
        may_use: &[
            "journal::Record",
            "journal::Content",
            "journal::Signal",
            "mapping",
            "join",
        ],
        proto: &["otlp", "cctf", "keys"],
        pure: true,
    },
    Module {
        name: "mapping",
        may_use: &[],
        proto: &["otlp", "cctf", "keys"],
        pure: true,
    },
    Module {
        name: "join",
        may_use: &[],
        proto: &["otlp", "cctf", "keys"],
        pure: true,
    },
    Module {
        name: "sink",
        may_use: &["pipeline::Output", "pipeline::RunOutput"],
        proto: &["cctf", "keys", "log_line"],
        pure: false,
    },
];

/// Words that a module without I/O must not contain: it uses no threads, files, sockets, clocks or random numbers.
const IMPURE: [&str; 12] = [
    "tokio",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant",
    "rand::",
    "println!",
    "log_line",
    "stdio",
];
/// Names of OpenTelemetry. Only the receiver, the pipeline and its mapping may use them.
const OTLP: [&str; 3] = ["opentelemetry", "cctf_proto::otlp", "prost"];

#[test]
fn modules_of_the_normalizer_name_only_those_behind_them() {
    let mut findings = Vec::new();
    for module in &MODULES {
        for source in sources_of(module.name) {
            for (number, line) in code(&source.text) {
                let used = named(&line, "crate::")
                    .into_iter()
                    .filter(|path| !is_allowed(path, &[module.name]));
                for path in used.filter(|path| !is_allowed(path, module.may_use)) {
                    findings.push(format!("{}:{number}: names crate::{path}", source.path));
                }
                for path in named(&line, "cctf_proto::") {
                    if !is_allowed(&path, module.proto) {
                        findings.push(format!("{}:{number}: names cctf_proto::{path}", source.path));
                    }
                }
            }
        }
    }
    assert_none(
        "receiver → journal → pipeline → {mapping, join} → contract, and sink ← pipeline's output",
        &findings,
    );
}

#[test]
fn the_core_has_no_clock_no_files_and_no_runtime() {
    let mut findings = Vec::new();
    for module in MODULES.iter().filter(|module| module.pure) {
        for source in sources_of(module.name) {
            findings.extend(mentions(&source, &IMPURE));
        }
    }
    assert_none("pipeline, mapping and join are pure", &findings);
}

#[test]
fn the_sink_and_the_journal_see_no_otlp_type() {
    let sources = ["sink", "journal"].into_iter().flat_map(sources_of);
    let findings: Vec<String> = sources.flat_map(|source| mentions(&source, &OTLP)).collect();
    assert_none("sink and journal know bytes, not OpenTelemetry", &findings);
}

#[test]
fn the_contract_crate_has_no_runtime_and_reads_no_file() {
    let sources = below("proto/src/", ".rs").unwrap();
    let findings: Vec<String> = sources
        .iter()
        .flat_map(|source| mentions(source, &["tokio", "std::fs", "std::net", "SystemTime", "Instant"]))
        .collect();
    assert_none("proto does no I/O, except in stdio", &findings);
}

#[test]
fn a_forbidden_import_is_found() {
    assert!(
        is_allowed("pipeline::self", &["pipeline"])
            && is_allowed("journal::Record", &["journal"])
            && !is_allowed("journalist", &["journal"])
    );
    assert!(
        is_allowed("pipeline::Output", &["pipeline::Output"])
            && !is_allowed("pipeline::Pipeline", &["pipeline::Output"])
    );
    let source = Source {
        path: "x.rs".to_owned(),
        text: "//! tokio\nfn f() { tokio::spawn(g()) }\n".to_owned(),
    };
    assert_eq!(mentions(&source, &["tokio"]).len(), 1);
}

fn sources_of(module: &str) -> Vec<Source> {
    let mut sources = below(&format!("normalizer/src/{module}/"), ".rs").unwrap();
    sources.extend(below(&format!("normalizer/src/{module}.rs"), ".rs").unwrap());
    sources.retain(|source| !source.path.ends_with("tests.rs"));
    assert!(!sources.is_empty(), "the normalizer has no module {module}");
    sources
}

fn is_allowed(path: &str, allowed: &[&str]) -> bool {
    let path = path.strip_suffix("::self").unwrap_or(path);
    allowed.iter().any(|known| {
        path == *known
            || path
                .strip_prefix(known)
                .is_some_and(|rest| rest.starts_with("::"))
    })
}

fn mentions(source: &Source, words: &[&str]) -> Vec<String> {
    let mention = |(number, line): (usize, String)| {
        let word = words.iter().find(|word| line.contains(**word))?;
        Some(format!("{}:{number}: {word}", source.path))
    };
    code(&source.text).filter_map(mention).collect()
}
