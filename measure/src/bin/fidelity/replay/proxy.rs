//! [`Proxy`]: toxiproxy, which delays the data of links.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, ensure};
use e2e::binaries::tool;
use e2e::child::Child;
use e2e::http;
use e2e::ports::free_ports;
use serde_json::{Value, json};

/// A toxiproxy. If it is dropped, all links end.
pub struct Proxy {
    /// Kept, because a dropped child is killed.
    _child: Child,
    api: SocketAddr,
}

impl Proxy {
    pub fn start() -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(tool("bin/toxiproxy-server")?);
        command.args(["-host", "127.0.0.1", "-port", &port.to_string()]);
        let child = Child::listening("toxiproxy", command, api)?;
        Ok(Self { _child: child, api })
    }

    /// A URL that leads to `url` over a link with the one-way delay `delay_ms`.
    pub fn link(&self, name: &str, url: &str, delay_ms: u32) -> anyhow::Result<String> {
        let upstream = url.strip_prefix("http://").context("not an http URL")?;
        let proxy = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true});
        let made = self.post("/proxies", &proxy)?;
        let listen = made["listen"].as_str().context("toxiproxy named no address")?;
        for stream in ["upstream", "downstream"] {
            let delay = json!({"type": "latency", "stream": stream, "attributes": {"latency": delay_ms}});
            self.post(&format!("/proxies/{name}/toxics"), &delay)?;
        }
        Ok(format!("http://{listen}"))
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let headers = [("content-type", "application/json")];
        let answer = http::send(self.api, "POST", path, &headers, body.to_string().as_bytes())?;
        ensure!(
            (200..300).contains(&answer.status),
            "toxiproxy answered {path} with {}: {}",
            answer.status,
            answer.text()
        );
        Ok(serde_json::from_str(&answer.text())?)
    }
}
