//! [`role_of_metric`]: what a metric's points are used for.

/// What a metric is used for. Names of both generations of the semantic conventions for system metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRole {
    /// Fraction of time by CPU and mode (gauge, 0 to 1); without a mode, the busy fraction.
    CpuUtilization,
    /// Seconds by CPU and mode since boot (sum).
    CpuTime,
    /// Memory that can still be used, bytes.
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
    /// CPU seconds of a process (sum), which is a kept metric too.
    ProcessCpuTime,
}

impl MetricRole {
    /// Whether its points make up a node's samples.
    pub fn is_sampled(self) -> bool {
        !matches!(
            self,
            Self::MemoryLimit | Self::CpuCount | Self::ActiveRequests | Self::ProcessCpuTime
        )
    }
}

/// Whether what an interface carried left or reached the node.
pub fn is_counted_interface(device: &str) -> bool {
    device != "lo" && !device.starts_with("lo:")
}

/// Whether a device is a disk of its own. Others would be counted twice, as their bytes are those of a disk below: partitions,
/// loop devices, what device mapper, software RAID and multipath put together; or they are no disks, as RAM.
pub fn is_counted_disk(device: &str) -> bool {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    // The number at the end, and what stands before it.
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

/// The role of a metric; `None` for one that only the list of kept metrics can ask for.
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
    fn whole_disks_count_and_what_lies_on_them_does_not() {
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
