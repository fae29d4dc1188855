//! `tunable-svc healthcheck`: checks whether a running service is ready, for containers without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::bail;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Succeeds if the service with this admin address is ready.
///
/// # Errors
/// The service is not ready or does not answer.
pub fn run(admin: SocketAddr) -> anyhow::Result<()> {
    let address = reachable(admin);
    let answer = http_once::get(&address.ip().to_string(), address.port(), "/readyz", TIMEOUT)?;
    match answer.status {
        200 => Ok(()),
        status => bail!("not ready: http://{address}/readyz answers with status {status}"),
    }
}

/// A listener on all addresses is reached through loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
