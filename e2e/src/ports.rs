//! Free ports, for programs that cannot choose a port themselves, or that have to keep it across restarts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;

/// First port. It is below the ports that the system gives to outgoing connections, so no connection takes a port between this
/// check and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
/// Distance between the first ports of two processes with consecutive ids.
const PORTS_PER_PROCESS: u32 = 97;

/// Number of ports that this process has tried. Tests that run in parallel never get the same port.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// Ports that are free on all addresses.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port()?;
    }
    Ok(ports)
}

fn free_port() -> anyhow::Result<u16> {
    let start = std::process::id().wrapping_mul(PORTS_PER_PROCESS);
    for _ in 0..COUNT {
        let number = start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % u32::from(COUNT);
        let port = FIRST + number as u16;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("cannot find a free port from {FIRST} to {}", FIRST + COUNT - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_a_used_one_is_skipped() {
        let first: [u16; 20] = free_ports().unwrap();
        let held = TcpListener::bind(("0.0.0.0", first[19] + 1));
        let second: [u16; 20] = free_ports().unwrap();
        let all: BTreeSet<u16> = first.into_iter().chain(second).collect();
        assert_eq!(all.len(), 40);
        assert!(held.is_err() || !second.contains(&(first[19] + 1)));
    }
}
