//! `cctf event` as a process: exit code 0 means that the receiver has the event.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod servers;

use std::process::{Command, Output};

use servers::{Answers, Servers};

fn scale(servers: &Servers, module: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cctf"))
        .env_clear()
        .args([
            "event",
            "scale",
            "--module",
            module,
            "--node",
            "edge0",
            "--replicas",
            "3",
        ])
        .args(["--otlp-endpoint", &format!("http://{}", servers.collector)])
        .output()
        .unwrap()
}

/// Seen to fail with what a partial success says left out: exit code 0.
#[test]
fn an_event_that_is_rejected_has_not_been_told() {
    let told = |answers, module| {
        let output = scale(&Servers::start(answers, None), module);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(told(Answers::Accept, "stock"), (Some(0), String::new()));
    let (code, stderr) = told(Answers::RejectControl, "stock");
    assert!(
        code == Some(1) && stderr.contains("one too many"),
        "{code:?} {stderr}"
    );
    let (code, stderr) = told(Answers::Accept, "");
    assert!(
        code == Some(2) && stderr.contains("--module"),
        "{code:?} {stderr}"
    );
}
