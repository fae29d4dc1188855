//! The CPU times of a module's endpoints.

use crate::regression::{Estimate, NoEstimate, NoRegression};

#[derive(Debug)]
pub struct ModuleCpu {
    pub module_id: String,
    pub endpoints: Vec<CpuOfEndpoint>,
}

/// The mean CPU time that a process uses for a request. It includes the time on I/O threads and for telemetry.
#[derive(Debug)]
pub struct CpuOfEndpoint {
    pub method: Option<String>,
    pub route: Option<String>,
    /// Whether this entry stands for all endpoints beyond the maximum.
    pub is_other: bool,
    pub requests: u64,
    /// Seconds.
    pub cpu: Result<Estimate, NoCpuTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoCpuTime {
    #[error(transparent)]
    Endpoint(#[from] NoEstimate),
    #[error(transparent)]
    Process(#[from] NoRegression),
}
