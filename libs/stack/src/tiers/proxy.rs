//! [`Proxy`]: toxiproxy, which passes each link's connections on and has what passes wait.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};

use super::namespace::Namespace;
use crate::children::{Child, ChildError};
use cctf_load::target::Target;

const NAME: &str = "toxiproxy";
/// Where it takes orders.
const API_PORT: u16 = 8474;
/// Limit of one order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);

/// What one link's connections are passed on to, and how late.
#[derive(Debug)]
pub struct Route {
    /// Name for toxiproxy.
    pub name: String,
    /// Where it listens.
    pub listen: Target,
    /// Where it passes on to.
    pub upstream: Target,
    /// Wait each way, milliseconds.
    pub delay_ms: u64,
}

/// The running toxiproxy.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
}

impl Proxy {
    /// Starts `program` in a namespace, where it takes orders at `address`, and has it pass on `routes`.
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
            order(&child, &api, "/proxies", &proxy)?;
            for stream in ["upstream", "downstream"] {
                let delay = json!({
                    "type": "latency", "stream": stream, "attributes": {"latency": route.delay_ms, "jitter": 0},
                });
                order(&child, &api, &format!("/proxies/{}/toxics", route.name), &delay)?;
            }
        }
        Ok(Self { child })
    }

    /// An error if it has ended.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.child.check_alive()
    }

    /// Stops it.
    pub fn stop(mut self) -> Result<(), ChildError> {
        self.child.stop()
    }
}

fn order(child: &Child, api: &Target, path: &str, what: &Value) -> Result<(), ChildError> {
    let body = what.to_string();
    let request = http_once::Request {
        method: "POST",
        path,
        headers: &[("content-type", "application/json")],
        body: body.as_bytes(),
    };
    match http_once::send(&api.host, api.port, &request, ORDER_TIMEOUT) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => {
            let status = answer.status;
            Err(child.unresponsive(format!("answers POST {path} {body} with {status}")))
        }
        Err(error) => Err(child.unresponsive(format!("does not answer POST {path}: {error}"))),
    }
}
