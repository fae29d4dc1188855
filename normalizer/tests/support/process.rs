//! The binary as a process that ends with its test, and simple requests to it.
#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A running normalizer. It is killed when this is dropped, so that a failed test leaves no process.
pub struct Process {
    pub child: Child,
    pub addresses: Value,
}

/// A command that runs the binary with an empty environment and on free ports. The ports are environment variables, so that
/// flags can override them.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cctf-normalizer"));
    command.env_clear();
    for variable in ["GRPC_LISTEN", "HTTP_LISTEN", "ADMIN_LISTEN"] {
        command.env(variable, "127.0.0.1:0");
    }
    command
}

impl Process {
    /// Starts it and waits for its addresses.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut process = Self {
            child,
            addresses: Value::Null,
        };
        let mut line = String::new();
        BufReader::new(process.child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        process.addresses = serde_json::from_str(&line).unwrap();
        process
    }

    /// Host and port of `grpc`, `http` or `admin`.
    pub fn address(&self, of: &str) -> &str {
        let (_, address) = self.addresses[of].as_str().unwrap().split_once("://").unwrap();
        address
    }

    /// Sends one request with a JSON body on a new connection. Returns the whole answer.
    pub fn http(&self, of: &str, method_and_path: &str, body: &str) -> String {
        try_http(self.address(of), method_and_path, "json", body.as_bytes()).unwrap()
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Output {
        let mut stderr = Vec::new();
        if let Some(pipe) = &mut self.child.stderr {
            pipe.read_to_end(&mut stderr).unwrap();
        }
        Output {
            status: self.child.wait().unwrap(),
            stdout: Vec::new(),
            stderr,
        }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Shuts it down gracefully.
    pub fn stop(self) -> Output {
        self.signal("-TERM");
        let output = self.ended();
        assert!(output.status.success(), "{output:?}");
        output
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request to an address. `content_type` can also contain further headers.
pub fn try_http(address: &str, method_and_path: &str, content_type: &str, body: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    if http_once::is_to_itself(stream.local_addr(), stream.peer_addr()) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let len = body.len();
    let head = format!(
        "{method_and_path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/{content_type}\r\ncontent-length: {len}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
