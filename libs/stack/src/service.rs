//! [`start_service`]: one service as a child process.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::child::{Child, ChildError};
use super::config::StackConfig;
use super::tiers::ServiceNetwork;

pub(crate) const SERVICE: &str = "tunable-svc";
/// Readiness page of this project's programs.
pub(crate) const READY: &str = "/readyz";

/// The settings in which services differ.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    /// Name of the child process.
    pub name: String,
    pub variables: Vec<(&'static str, String)>,
    /// Variables that the child must not inherit.
    pub removed: &'a [&'a str],
    pub network: Option<ServiceNetwork<'a>>,
}

/// Starts a service and waits until it is ready. Returns its process and its URL.
pub(crate) fn start_service(
    config: &StackConfig,
    service: Service<'_>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let mut command = config.program(SERVICE)?;
    let (listen, admin_listen) = match &service.network {
        Some(network) => {
            network.namespace.host(&mut command);
            // Load and calls arrive on different interfaces.
            (
                format!("0.0.0.0:{}", network.port),
                format!("0.0.0.0:{}", network.admin_port),
            )
        }
        None => ("127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()),
    };
    command.args(["--listen", &listen, "--admin-listen", &admin_listen]);
    for variable in service.removed {
        command.env_remove(variable);
    }
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_endpoint);
    command.envs(service.variables);
    let mut child = Child::start(&service.name, command, scratch)?;
    let announced = child.announcement(stop)?;
    let reached = |field| -> Result<Target, ChildError> {
        let mut url = child.announced_url(&announced, field)?;
        if let Some(network) = &service.network {
            url.host = network.address.to_string();
        }
        Ok(url)
    };
    let (listening, admin) = (reached("listening")?, reached("admin")?);
    child.ready(&admin, READY, stop)?;
    Ok((child, listening))
}
