//! Flags and results of the load driver that `load` and `replay` share: the destinations of its spans and lines, and its
//! identity.

use std::path::PathBuf;

use cctf_load::otlp::export::Delivery;
use cctf_load::otlp::identity::DriverIdentity;
use clap::Args;
use otlp_send::Destination;
use serde::Serialize;

use super::flags::parse_stage;
use super::otlp;

#[derive(Debug, Clone, Args)]
pub struct DriverFlags {
    /// URL to which this command exports its spans over OTLP, such as http://127.0.0.1:4317. Default: no export
    /// [env: OTEL_EXPORTER_OTLP_ENDPOINT].
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    #[command(flatten)]
    pub otlp: otlp_send::Flags,
    /// Path to a file to which this command appends one line per request, in the JSON format of the load tester vegeta. Default: no file.
    #[arg(long, env = "CCTF_OUT", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Name of the node (machine) on which this command runs. Default: the host name.
    #[arg(long, env = "NODE_ID")]
    pub node_id: Option<String>,
    /// Stage of this node: endpoint (user's device), edge, cloud or unknown.
    #[arg(long, env = "STAGE", value_parser = parse_stage)]
    pub stage: Option<String>,
    /// Name of the application to which this command's spans belong (service.namespace).
    #[arg(long, env = "APP_ID")]
    pub app_id: Option<String>,
    /// Number of worker slots (concurrent requests) of the service under load, recorded in run_meta.json.
    #[arg(long, env = "WORKERS")]
    pub workers: Option<u32>,
}

impl DriverFlags {
    pub fn identity(&self) -> DriverIdentity {
        DriverIdentity {
            node_id: self.node_id.clone(),
            stage: self.stage.clone(),
            app_id: self.app_id.clone(),
        }
    }

    /// An empty --otlp-endpoint disables sending and overrides the environment variables.
    pub fn otlp(&self) -> anyhow::Result<Option<Destination>> {
        match self.otlp_endpoint.as_deref() {
            Some("") => Ok(None),
            endpoint => Ok(otlp::destination(endpoint, &self.otlp)?),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct SpanCounts {
    pub made: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub dropped: u64,
}

impl From<&Delivery> for SpanCounts {
    fn from(delivery: &Delivery) -> Self {
        let Delivery {
            made,
            delivered,
            rejected,
            dropped,
            ..
        } = *delivery;
        Self {
            made,
            delivered,
            rejected,
            dropped,
        }
    }
}
