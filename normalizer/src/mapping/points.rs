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
