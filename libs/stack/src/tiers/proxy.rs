//! toxiproxy, which forwards the connections of each link and delays their data.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cctf_load::plan::target::Target;
use serde_json::{Value, json};

use crate::child::{Child, ChildError};
use crate::namespace::Namespace;

const NAME: &str = "toxiproxy";
/// Port of its HTTP API.
const API_PORT: u16 = 8474;
/// Timeout of one API request.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// A route of the proxy, which is a part of one link.
#[derive(Debug)]
pub struct Route {
    pub name: String,
    pub listen: Target,
    pub upstream: Target,
    /// Delay in each direction, milliseconds.
    pub delay_ms: u64,
}

#[derive(Debug)]
pub struct Proxy {
    child: Child,
}

impl Proxy {
    /// Starts `program` in a namespace with its API at `address`, and configures the `routes`.
    pub fn start(
        program: &Path,
        namespace: &Namespace,
        address: Ipv4Addr,
        routes: &[Route],
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<Self, ChildError> {
        let program = if program.components().count() > 1 {
            std::path::absolute(program).unwrap_or_else(|_| program.to_owned())
        } else {
            program.to_owned()
        };
        let mut command = Command::new(&program);
        command.args(["-host", &address.to_string(), "-port", &API_PORT.to_string()]);
        namespace.host(&mut command);
        let mut child = Child::start(NAME, command, scratch).map_err(|error| match error {
            ChildError::Start { source, .. } if source.kind() == ErrorKind::NotFound => {
                ChildError::NoToxiproxy { program, source }
            }
            other => other,
        })?;
        let api = Target {
            host: address.to_string(),
            port: API_PORT,
        };
        child.ready(&api, "/version", stop)?;
        for route in routes {
            let proxy = json!({
                "name": route.name,
                "listen": route.listen.authority(),
                "upstream": route.upstream.authority(),
                "enabled": true,
            });
            post(&child, &api, "/proxies", &proxy)?;
            for stream in ["upstream", "downstream"] {
                let delay = json!({
                    "type": "latency", "stream": stream, "attributes": {"latency": route.delay_ms, "jitter": 0},
                });
                post(&child, &api, &format!("/proxies/{}/toxics", route.name), &delay)?;
            }
        }
        Ok(Self { child })
    }

    /// Fails if toxiproxy has exited.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.child.check_alive()
    }

    pub fn stop(mut self) -> Result<(), ChildError> {
        self.child.stop()
    }
}

fn post(child: &Child, api: &Target, path: &str, value: &Value) -> Result<(), ChildError> {
    let body = value.to_string();
    let request = http_once::Request {
        method: "POST",
        path,
        headers: &[("content-type", "application/json")],
        body: body.as_bytes(),
    };
    match http_once::send(&api.host, api.port, &request, API_TIMEOUT) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => {
            let status = answer.status;
            Err(child.unresponsive(format!("answers POST {path} {body} with status {status}")))
        }
        Err(error) => Err(child.unresponsive(format!("does not answer POST {path}: {error}"))),
    }
}
