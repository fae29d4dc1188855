//! Requests of web pages from other origins: preflights, and the answers of the real binary.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::process::{self, Process};

const SHOP: &str = "https://shop.example";

fn start(folder: &TempDir, flags: &[&str]) -> Process {
    let mut command = process::command();
    command
        .args(["--out-dir", folder.path().join("logs").to_str().unwrap()])
        .args(flags)
        .stderr(Stdio::null());
    Process::start(&mut command)
}

/// Sends one request like a browser. Returns its whole answer in lower case.
fn ask(normalizer: &Process, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(normalizer.address("http")).unwrap();
    let len = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n{headers}\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_ascii_lowercase()
}

fn preflight(normalizer: &Process, path: &str, origin: &str) -> String {
    let headers = format!(
        "origin: {origin}\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: authorization,content-type\r\n"
    );
    ask(normalizer, &format!("OPTIONS {path}"), &headers, "")
}

fn post(normalizer: &Process, origin: &str, more: &str, body: &str) -> String {
    let headers = format!("origin: {origin}\r\ncontent-type: application/json\r\n{more}");
    ask(normalizer, "POST /v1/traces", &headers, body)
}

fn has(answer: &str, header: &str) -> bool {
    answer
        .split("\r\n\r\n")
        .next()
        .is_some_and(|head| head.lines().any(|line| line == header))
}

#[test]
fn a_page_of_an_allowed_origin_may_send() {
    let folder = TempDir::new().unwrap();
    let flags = [
        "--cors-allow-origin",
        SHOP,
        "--cors-allow-origin",
        "http://localhost:3000",
    ];
    let normalizer = start(&folder, &flags);
    for origin in [SHOP, "http://localhost:3000"] {
        for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
            let answer = preflight(&normalizer, path, origin);
            assert!(answer.starts_with("http/1.1 204 "), "{answer}");
            for header in [
                &format!("access-control-allow-origin: {origin}"),
                "access-control-allow-credentials: true",
                "access-control-allow-methods: post",
                "access-control-allow-headers: authorization,content-type",
                "access-control-max-age: 7200",
                "vary: origin, access-control-request-headers",
            ] {
                assert!(has(&answer, header), "{header} in {answer}");
            }
        }
        let answer = post(&normalizer, origin, "", "{}");
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
        for header in [
            &format!("access-control-allow-origin: {origin}"),
            "access-control-expose-headers: retry-after",
            "vary: origin",
        ] {
            assert!(has(&answer, header), "{header} in {answer}");
        }
    }
}

#[test]
fn a_page_of_another_origin_gets_no_permission() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder, &["--cors-allow-origin", SHOP]);
    for origin in [
        "https://shop.example.evil",
        "http://shop.example",
        "https://shop.example:8443",
        "null",
        "*",
    ] {
        let answer = preflight(&normalizer, "/v1/traces", origin);
        assert!(answer.starts_with("http/1.1 405 "), "{answer}");
        assert!(!answer.contains("access-control-"), "{answer}");
        // Because of this header, a cache does not give this answer to a permitted origin.
        assert!(has(&answer, "vary: origin"), "{answer}");
        let answer = post(&normalizer, origin, "", "{}");
        assert!(!answer.contains("access-control-"), "{answer}");
    }
    let elsewhere = preflight(&normalizer, "/v2/traces", SHOP);
    assert!(elsewhere.starts_with("http/1.1 404 "), "{elsewhere}");
}

#[test]
fn without_the_flag_no_page_may_send() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder, &[]);
    let answer = preflight(&normalizer, "/v1/traces", SHOP);
    assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    for answer in [answer, post(&normalizer, SHOP, "", "{}")] {
        assert!(
            !answer.contains("access-control-") && !answer.contains("vary"),
            "{answer}"
        );
    }
}

#[test]
fn any_origin_may_send_if_the_flag_says_so() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder, &["--cors-allow-origin", "*"]);
    for answer in [
        preflight(&normalizer, "/v1/traces", "null"),
        post(&normalizer, "null", "", "{}"),
    ] {
        assert!(answer.starts_with("http/1.1 20"), "{answer}");
        assert!(has(&answer, "access-control-allow-origin: *"), "{answer}");
        // Browsers refuse the asterisk together with credentials.
        assert!(!answer.contains("allow-credentials"), "{answer}");
    }
}

#[test]
fn a_page_can_read_why_its_request_was_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokens"), "secret\n").unwrap();
    let tokens = folder.path().join("tokens");
    let guarded = [
        "--cors-allow-origin",
        SHOP,
        "--token-file",
        tokens.to_str().unwrap(),
        "--message-bytes-max",
        "1KiB",
        "--disk-free-min",
        "1000000GiB",
    ];
    let normalizer = start(&folder, &guarded);
    // A browser sends preflights without a token.
    assert!(preflight(&normalizer, "/v1/traces", SHOP).starts_with("http/1.1 204 "));
    let token = "authorization: Bearer secret\r\n";
    let span = r#"{"resourceSpans":[{"schemaUrl":"u"}]}"#;
    let large = format!(r#"{{"resourceSpans":[{{"schemaUrl":"{}"}}]}}"#, "u".repeat(2048));
    for (more, body, status) in [
        ("", span, "401"),
        (token, large.as_str(), "413"),
        (token, span, "503"),
        (token, "no json", "400"),
    ] {
        let answer = post(&normalizer, SHOP, more, body);
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        let allowed = format!("access-control-allow-origin: {SHOP}");
        assert!(has(&answer, &allowed) && has(&answer, "vary: origin"), "{answer}");
    }
}

#[test]
fn an_origin_that_no_browser_would_send_is_refused_at_the_start() {
    for wrong in ["shop.example", "https://shop.example/app", "https://", "", "null"] {
        let output = process::command()
            .args(["--cors-allow-origin", wrong])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {stderr}");
        assert!(stderr.contains("https://shop.example"), "{wrong}: {stderr}");
    }
}
