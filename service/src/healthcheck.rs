//! `tunable-svc healthcheck`: asks a running service whether it is ready, for containers without a shell.

use anyhow::{Context as _, bail};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 4096;

/// Succeeds if the service behind this admin address is ready.
///
/// # Errors
/// Why it is not, or cannot be asked.
pub fn ask(admin: SocketAddr) -> anyhow::Result<()> {
    let address = reachable(admin);
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut answer)
        .with_context(|| format!("no answer from {address}"))?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => bail!("not ready: {}", answer.lines().next().unwrap_or("no answer")),
    }
}

/// A listener on all addresses is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
