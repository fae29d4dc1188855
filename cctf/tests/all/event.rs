//! `cctf event`: exit code 0 means that the receiver has accepted the event.

use std::process::Output;

use crate::cctf;
use crate::servers::{Answers, Servers};

fn scale(servers: &Servers, module: &str) -> Output {
    cctf(&[
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

/// This test failed when partial success was ignored: the exit code was 0.
#[test]
fn a_rejected_event_is_a_failure() {
    let outcome = |answers, module| {
        let output = scale(&Servers::start(answers, None), module);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(outcome(Answers::Accept, "stock"), (Some(0), String::new()));
    let (code, stderr) = outcome(Answers::RejectControl, "stock");
    assert!(
        code == Some(1) && stderr.contains("one too many"),
        "{code:?} {stderr}"
    );
    let (code, stderr) = outcome(Answers::Accept, "");
    assert!(
        code == Some(2) && stderr.contains("--module"),
        "{code:?} {stderr}"
    );
}
