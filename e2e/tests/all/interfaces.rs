//! Traffic between containers on one machine does not count as the machine's traffic. Needs root.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use anyhow::Context;
use e2e::binaries::bin_dir;
use e2e::child::{Child, wait_for};
use e2e::exclusive;
use e2e::host::machine::{in_machine, ip};
use e2e::rows;

/// Minimum traffic to the container.
const INSIDE_BYTES: u64 = 2_000_000;
/// Maximum traffic that may leave the machine. The kernel itself sends some.
const EDGE_BYTES_MAX: f64 = 50_000.0;
const DATAGRAM_BYTES: usize = 1_000;
/// Maximum number of datagrams. It is much more than is needed, because some datagrams are lost while the kernel looks up the
/// container's address.
const DATAGRAMS_MAX: usize = 100_000;

/// This test fails when all interfaces except loopback are counted: `docker0,stacked,uplink,veth1`.
#[test]
fn traffic_inside_a_machine_does_not_cross_its_edge() {
    let _machine = exclusive::machine();
    let bin_dir = bin_dir().unwrap();
    in_machine(|| {
        let spaces = Spaces::new()?;
        let folder = tempfile::tempdir()?;
        let normalizer = Child::normalizer(&bin_dir, folder.path(), &["--run-id", "r"])?;
        let otlp = normalizer.url("grpc")?;
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()), ("NODE_ID", "n1")];
        let service = Child::service(&bin_dir, &variables)?;
        let links = folder.path().join("r/cctf/link_metrics.jsonl");
        wait_for_rows(&links, 2)?;
        let before = sent_by("docker0")?;
        let socket = UdpSocket::bind("198.18.255.1:0")?;
        for _ in 0..DATAGRAMS_MAX {
            if sent_by("docker0")? >= before + INSIDE_BYTES {
                break;
            }
            // No process listens there, so an ICMP error shows that a datagram has arrived.
            let _ = socket.send_to(&[0; DATAGRAM_BYTES], "198.18.255.2:9");
        }
        assert!(sent_by("docker0")? >= before + INSIDE_BYTES);
        let rows = wait_for_rows(&links, 0)?.len();
        let rows = wait_for_rows(&links, rows + 3)?;
        assert!(service.stop()?.status.success());
        assert!(normalizer.stop()?.status.success());
        drop(spaces);
        let mut sent = 0.0;
        for row in &rows {
            assert_eq!(rows::text(row, "iface"), Some("uplink"), "{row}");
            let rate = rows::number(row, "tx_Bps").unwrap_or(0.0);
            sent += rate * rows::number(row, "interval_ms").unwrap_or(0.0) / 1e3;
        }
        assert!(sent < EDGE_BYTES_MAX, "{sent} bytes");
        Ok(())
    })
    .unwrap();
}

fn wait_for_rows(links: &Path, more_than: usize) -> anyhow::Result<Vec<serde_json::Value>> {
    wait_for("rows of the interfaces", || {
        // A file may not exist yet, or may end with an incomplete line.
        Ok(rows::lines(links).ok().filter(|rows| rows.len() > more_than))
    })
}

fn sent_by(interface: &str) -> anyhow::Result<u64> {
    let path = Path::new("/sys/class/net")
        .join(interface)
        .join("statistics/tx_bytes");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().parse()?)
}

/// Network namespaces of the outside and of a container. In this process, a veth pair with a macvlan leads to the outside, and
/// a bridge with another veth pair leads to the container.
struct Spaces([String; 2]);

impl Spaces {
    fn new() -> anyhow::Result<Self> {
        let id = std::process::id();
        let spaces = Self([format!("outside{id}"), format!("container{id}")]);
        let [outside, container] = &spaces.0;
        for line in [
            format!("netns add {outside}"),
            format!("netns add {container}"),
            format!("link add uplink type veth peer name far netns {outside}"),
            "link set uplink up".to_owned(),
            format!("-n {outside} link set far up"),
            "link add stacked link uplink type macvlan".to_owned(),
            "link set stacked up".to_owned(),
            "link add docker0 type bridge".to_owned(),
            format!("link add veth1 type veth peer name eth0 netns {container}"),
            "link set veth1 master docker0".to_owned(),
            "link set veth1 up".to_owned(),
            "addr add 198.18.255.1/30 dev docker0".to_owned(),
            "link set docker0 up".to_owned(),
            format!("-n {container} addr add 198.18.255.2/30 dev eth0"),
            format!("-n {container} link set eth0 up"),
        ] {
            ip(&line)?;
        }
        Ok(spaces)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for space in &self.0 {
            let _ = ip(&format!("netns del {space}"));
        }
    }
}
