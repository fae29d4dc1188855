//! The archive of `make release`: its checksums are correct, its binaries run, and they print the pages and completions that it
//! contains.

use std::path::Path;
use std::process::Command;

use e2e::sources::{read, root};

#[test]
fn the_release_archive_holds_static_binaries_and_its_checksum() {
    let version = read("Cargo.toml").unwrap();
    let version = version
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap();
    let (first, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for out in [&first, &again] {
        let mut pack = Command::new(root().join("scripts/release"));
        run(pack.arg(root().join("target/release")).arg(out.path()));
    }
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(first.path()));
    let sums = |out: &Path| std::fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    assert_eq!(
        sums(first.path()),
        sums(again.path()),
        "the archive is reproducible"
    );

    let name = format!("cctf-{version}-linux-{}", std::env::consts::ARCH);
    run(Command::new("tar")
        .args(["-xzf", &format!("{name}.tar.gz")])
        .current_dir(first.path()));
    let folder = first.path().join(name);
    for binary in ["cctf", "cctf-normalizer", "tunable-svc"] {
        let output = run(Command::new(folder.join(binary)).arg("--version").env_clear());
        assert_eq!(output, format!("{binary} {version}\n"));
    }
    let schema = std::fs::read_to_string(folder.join("schemas/invocations.schema.json")).unwrap();
    let printed = run(Command::new(folder.join("cctf"))
        .args(["schema", "invocations.jsonl", "--format", "json"])
        .env_clear());
    assert_eq!(printed, schema, "the schemas are those of the binaries");
    for (file, args) in [
        ("man/man1/cctf.1", &["man"][..]),
        ("completions/cctf.bash", &["completions", "bash"]),
        ("completions/_cctf", &["completions", "zsh"]),
        ("completions/cctf.fish", &["completions", "fish"]),
    ] {
        let packed = std::fs::read_to_string(folder.join(file)).unwrap();
        let printed = run(Command::new(folder.join("cctf")).args(args).env_clear());
        assert_eq!(packed, printed, "{file}");
    }
    assert!(folder.join("man/man1/cctf-trace.1").exists());
}

#[test]
fn a_binary_that_is_not_static_is_not_released() {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(root().join("scripts/release"))
        .arg(root().join("target/debug"))
        .arg(out.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("is not static; run make build"), "{error}");
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
