//! The manifests in deploy/k8s match the schemas of Kubernetes, and use only variables that the binaries read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, command, tool};
use e2e::sources::{below, read, root};

/// The version of the schemas.
const KUBERNETES: &str = "1.37.0";
const MANIFESTS: &str = "deploy/k8s/";

/// Invalid changes: a text, its replacement, and a part of the finding that must result.
const WRONG: [(&str, &str, &str); 8] = [
    (
        "readOnlyRootFilesystem",
        "readOnlyRootFileSystem",
        "readOnlyRootFileSystem",
    ),
    ("containerPort: 4317", "containerPort: \"4317\"", "not of type"),
    (
        "targetPort: otlp-grpc",
        "targetPort: otlp-grcp",
        "otlp-grcp is no port",
    ),
    ("readinessProbe", "readynessProbe", "readynessProbe"),
    ("{drop: [ALL]}", "{drop: [NET_RAW]}", "keeps capabilities"),
    ("runAsNonRoot: true", "runAsNonRoot: false", "runs as root"),
    (
        "{name: logs, mountPath: /logs}",
        "{name: log, mountPath: /logs}",
        "mounts log, which is no volume",
    ),
    (
        "seccompProfile: {type: RuntimeDefault}",
        "seccompProfile: {type: Unconfined}",
        "no seccomp profile",
    ),
];

fn check(folder: &Path) -> Done {
    let python = tool("manifests/bin/python").unwrap();
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut command = Command::new(python);
    command
        .arg(root().join("e2e/manifests/check.py"))
        .arg(KUBERNETES)
        .args(paths);
    Done::from(command.output().unwrap())
}

#[test]
fn every_manifest_is_what_kubernetes_and_the_rules_here_want() {
    let done = check(&root().join(MANIFESTS));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let files = format!(" in {} files", below(MANIFESTS, ".yaml").unwrap().len());
    assert!(done.stdout.contains(&files), "{}", done.stdout);
}

#[test]
fn a_manifest_that_is_wrong_is_found() {
    let manifests = below(MANIFESTS, ".yaml").unwrap();
    for (right, wrong, said) in WRONG {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = 0;
        for manifest in &manifests {
            let name = manifest.path.strip_prefix(MANIFESTS).unwrap();
            changed += manifest.text.matches(right).count();
            fs::write(folder.path().join(name), manifest.text.replace(right, wrong)).unwrap();
        }
        assert!(changed > 0, "no manifest has {right}");
        let done = check(folder.path());
        assert_eq!(done.code, Some(1), "{wrong}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stdout.contains(said),
            "{wrong}: {}{}",
            done.stdout,
            done.stderr
        );
    }
}

#[test]
fn the_images_are_of_the_versions_that_are_built_and_tested_here() {
    let value = |path: &str, start: &str| {
        let text = read(path).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
        line.unwrap().trim_matches('"').to_owned()
    };
    let own = value("Cargo.toml", "version = ");
    let collector = value("otelcol/builder-config.yaml", "version: ");
    for (manifest, image) in [
        ("tunable-svc", format!("tunable-svc:{own}")),
        ("cctf-normalizer", format!("cctf-normalizer:{own}")),
        (
            "otel-collector",
            format!("otel/opentelemetry-collector-contrib:{collector}"),
        ),
    ] {
        let text = read(&format!("{MANIFESTS}{manifest}.yaml")).unwrap();
        assert!(text.contains(&format!("image: {image}\n")), "{manifest}: {image}");
    }
}

#[test]
fn every_variable_is_one_that_its_program_reads() {
    let help = |binary: &str| command(binary).unwrap().arg("--help").output().unwrap().stdout;
    let known: BTreeMap<&str, String> = [
        (
            "tunable-svc.yaml",
            // The variables of OpenTelemetry are documented on a separate page. e2e/tests/rules compares this page with the
            // code.
            String::from_utf8(help("tunable-svc")).unwrap() + &read("docs/sending.md").unwrap(),
        ),
        (
            "cctf-normalizer.yaml",
            String::from_utf8(help("cctf-normalizer")).unwrap(),
        ),
        ("otel-collector.yaml", read("otel-collector.yaml").unwrap()),
    ]
    .into();
    // These variables are used by others: by the manifest itself, as $(NAME), and by Go's runtime.
    let elsewhere = ["NODE_NAME", "HOST_IP", "GOMEMLIMIT"];
    let mut seen = 0;
    for manifest in below(MANIFESTS, ".yaml").unwrap() {
        let name = manifest.path.strip_prefix(MANIFESTS).unwrap();
        for variable in manifest
            .text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- name: "))
        {
            if variable.chars().any(char::is_lowercase) || elsewhere.contains(&variable) {
                continue;
            }
            let is_known = known.get(name).is_some_and(|known| {
                let mut words = known.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                words.any(|word| word == variable)
            });
            assert!(is_known, "{}: no program reads {variable}", manifest.path);
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} variables were found");
}
