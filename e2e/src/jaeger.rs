//! [`Jaeger`]: the real Jaeger, all in one process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::binaries::tool;
use crate::child::wait_for;
use crate::collector::Process;
use crate::http;
use crate::ports::free_ports;
use crate::sources::root;

/// A Jaeger that runs until it is dropped. Its traces are in its memory.
pub struct Jaeger {
    ports: [u16; 4],
    _process: Process,
}

impl Jaeger {
    /// Starts it and waits until it answers. `folder` gets its log.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let ports = free_ports()?;
        let local = ports.map(|port| format!("127.0.0.1:{port}"));
        let [grpc, http, query, query_grpc] = &local;
        let process = Command::new(tool("bin/jaeger")?)
            .arg("--config")
            .arg(root().join("e2e/tests/all/converted/jaeger.yaml"))
            .envs([
                ("JAEGER_GRPC_LISTEN", grpc),
                ("JAEGER_HTTP_LISTEN", http),
                ("JAEGER_QUERY_LISTEN", query),
                ("JAEGER_QUERY_GRPC_LISTEN", query_grpc),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("jaeger.log"))?)
            .spawn()
            .context("cannot start Jaeger")?;
        let jaeger = Self {
            ports,
            _process: Process(process),
        };
        wait_for("Jaeger", || Ok(jaeger.get("/api/services").ok().map(drop)))?;
        Ok(jaeger)
    }

    /// The receivers of OTLP: gRPC and HTTP.
    pub fn urls(&self) -> [String; 2] {
        [0, 1].map(|place| format!("http://{}", self.address(place)))
    }

    /// The answer of its API, as its UI gets it.
    pub fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let answer = http::send(self.address(2), "GET", path, &[], b"")?;
        ensure!(answer.status == 200, "Jaeger answers {} to {path}", answer.status);
        match answer.header("transfer-encoding") {
            Some("chunked") => unchunked(&answer.body).context("an incomplete answer of Jaeger"),
            _ => Ok(answer.body),
        }
    }

    fn address(&self, place: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[place]))
    }
}

/// The body of an answer that was sent in chunks.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 2 + length + 2..)?;
    }
}
