//! `cctf load` against servers that close connections, stay silent or send invalid responses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

use crate::{cctf, stderr};

/// Starts a server with one thread per connection.
fn server(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads one request without a body. Returns false if the client has closed the connection.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// Sends ten requests, one after the other.
fn load(address: SocketAddr, more: &[&str]) -> Value {
    let target = format!("http://{address}");
    let output = cctf(&[
        "load",
        "--target",
        &target,
        "--endpoint",
        "/x",
        "--format",
        "json",
    ])
    .args(["--rate", "20", "--duration", "500ms"])
    .args(more)
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_request_survives_the_death_of_an_idle_connection() {
    let result = load(
        server(|mut stream| {
            if read_request(&mut stream) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .unwrap();
                // The server reads the second request and closes its connection, as if the connection had just timed out.
                read_request(&mut stream);
            }
        }),
        &["--connections", "1"],
    );
    assert_eq!(result["statuses"]["200"].as_u64(), Some(10), "{result}");
    assert!(result["resends"].as_u64() >= Some(1), "{result}");
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_timeout() {
    let result = load(
        server(|mut stream| while read_request(&mut stream) {}),
        &["--timeout", "300ms", "--connections", "2"],
    );
    assert_eq!(result["requests"].as_u64(), Some(10), "{result}");
    assert_eq!(result["statuses"]["0"].as_u64(), Some(10), "{result}");
}

#[test]
fn a_response_that_is_not_http_is_reported_as_such() {
    let result = load(
        server(|mut stream| {
            read_request(&mut stream);
            stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
        }),
        &[],
    );
    assert_eq!(
        result["errors"]["response is not valid HTTP/1.1"].as_u64(),
        Some(10),
        "{result}"
    );
}

/// This test failed when the result did not contain the reason why requests are late.
#[test]
fn too_few_open_files_for_the_connections_are_reported_with_their_remedy() {
    let address = server(|mut stream| while read_request(&mut stream) {});
    let load = format!(
        "ulimit -n 40 && exec {} load --target http://{address} --endpoint /x --rate 500 --duration 200ms --timeout 4s",
        env!("CARGO_BIN_EXE_cctf")
    );
    for (format, expected) in [("json", "\"bounded_by\":\""), ("text", "bounded")] {
        let output = Command::new("/bin/sh")
            .env_clear()
            .args(["-c", &format!("{load} --format {format}")])
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(expected), "{stdout}");
        assert!(stdout.contains("Too many open files"), "{stdout}");
        assert!(stdout.contains("raise `ulimit -n`"), "{stdout}");
    }
}
