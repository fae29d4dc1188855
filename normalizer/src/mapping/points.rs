//! [`role_of_metric`]: the meaning of a metric for CCTF, and the devices whose points count.

/// The meaning of a metric. Names of both generations of the semantic conventions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRole {
    /// Fraction of time by CPU and mode (gauge, 0 to 1); without a mode, the busy fraction.
    CpuUtilization,
    /// Seconds by CPU and mode since boot (sum).
    CpuTime,
    /// Available memory, bytes.
    MemoryAvailable,
    /// Memory by state, bytes.
    MemoryUsage,
    /// Memory of the node, bytes.
    MemoryLimit,
    /// Logical CPUs of the node.
    CpuCount,
    /// Load average over one minute.
    Load1,
    /// Bytes by device and direction (sum).
    NetworkIo,
    /// Errors by device and direction (sum).
    NetworkErrors,
    /// Dropped packets by device and direction (sum).
    NetworkDropped,
    /// Bytes by device and direction (sum).
    DiskIo,
    /// Power, watts.
    Power,
    /// Energy, joules (sum).
    Energy,
    /// Requests in flight.
    ActiveRequests,
    /// CPU seconds of a process (sum). By default, they are also written to system_stats.jsonl.
    ProcessCpuTime,
}

impl MetricRole {
    /// Whether the points of this metric are part of a node's samples.
    pub fn is_sampled(self) -> bool {
        !matches!(
            self,
            Self::MemoryLimit | Self::CpuCount | Self::ActiveRequests | Self::ProcessCpuTime
        )
    }
}

/// Names of interfaces that are inside the machine or stacked on others. The name is followed only by digits.
const INNER_NUMBERED: &[&str] = &[
    "ap", "br", "bridge", "cbr", "cni", "erspan", "gif", "gre", "gretap", "ifb", "lo", "sit", "stf", "team",
    "vmbr", "vrf",
];
/// Prefixes of the names of such interfaces: loopback, interfaces of containers and virtual machines on the host's side, their
/// bridges, bonds, and tunnels.
const INNER_PREFIXES: &[&str] = &[
    "Loopback",
    "antrea",
    "awdl",
    "azv",
    "bond",
    "br-",
    "cali",
    "cilium",
    "cni-",
    "docker",
    "dummy",
    "eni",
    "flannel",
    "fwbr",
    "fwln",
    "fwpr",
    "genev",
    "gke",
    "ip6gre",
    "ip6tnl",
    "ip6_vti",
    "ip_vti",
    "ipvlan",
    "kube-",
    "llw",
    "lxc",
    "lxdbr",
    "macvlan",
    "macvtap",
    "nlmon",
    "nodelocaldns",
    "ovn-",
    "ovs-",
    "podman",
    "qbr",
    "qvb",
    "qvo",
    "tailscale",
    "tap",
    "tun",
    "tunl",
    "utun",
    "vEthernet",
    "vboxnet",
    "veth",
    "virbr",
    "vlan",
    "vmnet",
    "vnet",
    "vxlan",
    "weave",
    "wg",
    "zt",
];

/// Whether an interface is at the machine's edge. The bytes of all other interfaces (loopback, bridges and their ports, VLANs,
/// bonds, tunnels) are also counted at the edge, or never leave the machine.
pub fn is_counted_interface(device: &str) -> bool {
    // Linux names VLANs and legacy aliases after the underlying interface.
    let is_stacked = device.contains(['.', ':', '@']);
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_inner =
        INNER_NUMBERED.contains(&stem) || INNER_PREFIXES.iter().any(|prefix| device.starts_with(prefix));
    !(is_stacked || is_inner)
}

/// Whether a device is a whole disk. Partitions, loop devices, and devices of device mapper, software RAID and multipath are
/// left out, because an underlying disk also counts their bytes. RAM disks are left out, too.
pub fn is_counted_disk(device: &str) -> bool {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    // The name without the number at its end.
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem == name {
        return !name.starts_with("mapper/");
    }
    let is_letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let lettered = |prefix: &str| stem.strip_prefix(prefix).is_some_and(is_letters);
    let of_numbered = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| rest.ends_with('p'));
    let is_partition = ["sd", "vd", "xvd", "hd", "dasd"].into_iter().any(lettered)
        || ["nvme", "mmcblk", "nbd", "rbd", "pmem", "loop", "md"]
            .into_iter()
            .any(of_numbered)
        || (name.starts_with("mmcblk") && name.contains("boot"));
    let is_path = name.starts_with("nvme") && stem.trim_start_matches("nvme").contains('c');
    let is_stacked = matches!(stem, "loop" | "ram" | "zram" | "dm-" | "md" | "drbd" | "bcache");
    !(is_partition || is_path || is_stacked)
}

/// The role of a metric; `None` if the metric can only be selected by the list of kept metrics.
pub fn role_of_metric(name: &str) -> Option<MetricRole> {
    Some(match name {
        "system.cpu.utilization" => MetricRole::CpuUtilization,
        "system.cpu.time" => MetricRole::CpuTime,
        "system.linux.memory.available" | "system.memory.linux.available" => MetricRole::MemoryAvailable,
        "system.memory.usage" => MetricRole::MemoryUsage,
        "system.memory.limit" => MetricRole::MemoryLimit,
        "system.cpu.logical.count" => MetricRole::CpuCount,
        "system.cpu.load_average.1m" => MetricRole::Load1,
        "system.network.io" => MetricRole::NetworkIo,
        "system.network.errors" => MetricRole::NetworkErrors,
        "system.network.dropped" | "system.network.packet.dropped" => MetricRole::NetworkDropped,
        "system.disk.io" => MetricRole::DiskIo,
        "hw.host.power" | "hw.power" => MetricRole::Power,
        "hw.host.energy" | "hw.energy" => MetricRole::Energy,
        "http.server.active_requests" => MetricRole::ActiveRequests,
        "process.cpu.time" => MetricRole::ProcessCpuTime,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_at_the_edge_count_and_those_inside_do_not() {
        for edge in [
            "eth0",
            "ens5",
            "enp3s0",
            "eno1",
            "enP2p1s0",
            "wlan0",
            "wlp2s0",
            "ib0",
            "usb0",
            "wwan0",
            "bnep0",
            "net1",
            "en0",
            "Ethernet 2",
            "Wi-Fi",
            "lan1",
            "",
        ] {
            assert!(is_counted_interface(edge), "{edge}");
        }
        for inner in [
            "lo",
            "lo0",
            "lo:1",
            "eth0:1",
            "docker0",
            "docker_gwbridge",
            "veth3f2a1b",
            "br-5d41402abc4b",
            "br0",
            "cali1a2b3c",
            "cilium_host",
            "lxc1234",
            "cni0",
            "flannel.1",
            "bond0",
            "team0",
            "eth0.100",
            "vlan100",
            "tun0",
            "wg0",
            "tap0",
            "virbr0",
            "vnet3",
            "vmbr0",
            "kube-ipvs0",
            "sit0",
            "utun3",
            "vEthernet (WSL)",
            "ifb1",
        ] {
            assert!(!is_counted_interface(inner), "{inner}");
        }
    }

    #[test]
    fn whole_disks_count_and_devices_on_them_do_not() {
        for disk in [
            "sda", "sdaa", "vda", "/dev/vda", "xvdf", "nvme0n1", "nvme1n12", "mmcblk0", "rbd0", "nbd3",
            "sr0", "C:",
        ] {
            assert!(is_counted_disk(disk), "{disk}");
        }
        for other in [
            "sda1",
            "sdaa12",
            "/dev/vda1",
            "xvdf1",
            "nvme0n1p3",
            "nvme0c1n1",
            "mmcblk0p2",
            "mmcblk0boot0",
            "nbd3p1",
            "loop7",
            "loop0p1",
            "ram0",
            "zram0",
            "dm-0",
            "md127",
            "md0p1",
            "/dev/mapper/root",
            "drbd0",
        ] {
            assert!(!is_counted_disk(other), "{other}");
        }
    }
}
