//! Two commands use the same run id at the same time. The second one must be refused before its first request, and the run must
//! stay complete.

use std::process::Stdio;

use e2e::binaries::{Done, bin_dir, cctf, command};
use e2e::child::{Child, wait_for};
use e2e::rows;

#[test]
fn a_second_driver_with_the_same_run_id_is_refused() {
    let logs = tempfile::tempdir().unwrap();
    let bin_dir = bin_dir().unwrap();
    let normalizer = Child::normalizer(&bin_dir, logs.path(), &["--join-window", "1s"]).unwrap();
    let otlp = normalizer.url("grpc").unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str())];
    let service = Child::service(&bin_dir, &variables).unwrap();
    let target = service.url("listening").unwrap();
    let args = [
        "load",
        "--run-id",
        "r",
        "--rate",
        "20",
        "--target",
        &target,
        "--otlp-endpoint",
        &otlp,
        "--duration",
    ];
    let mut first = command("cctf").unwrap();
    let first = first
        .args(args)
        .arg("120s")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // It lasts until it is interrupted.
    let first = first.spawn().unwrap();
    let calls = logs.path().join("r/cctf/calls.jsonl");
    wait_for("the first rows", || {
        Ok(rows::lines(&calls).ok().filter(|rows| !rows.is_empty()))
    })
    .unwrap();
    let second: Done = cctf(&[&args[..], &["1s"]].concat()).unwrap();
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(
        second
            .stderr
            .contains("cannot start run r: another load driver has started it"),
        "{second:?}"
    );
    let id = libc::pid_t::try_from(first.id()).unwrap();
    // SAFETY: kill only sends a signal, to the child that this test started and has not waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "it was interrupted: {first:?}");
    let meta = logs.path().join("r/cctf/run_meta.json");
    wait_for("the end of run r", || {
        let meta = rows::document(&meta).ok();
        Ok(meta.filter(|meta| meta["ended_ts"].is_number()).map(|_| ()))
    })
    .unwrap();
    let folder = logs.path().join("r");
    let checked = cctf(&["validate".as_ref(), folder.as_os_str()]).unwrap();
    assert!(
        checked.code == Some(0) && !checked.stdout.contains("one-driver"),
        "{}",
        checked.stdout
    );
}
