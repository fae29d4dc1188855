//! [`PlacementEvent`]: a scaling or a migration, as the span that reports it.

use std::time::Duration;

use cctf_load::clock;
use cctf_load::ids::Ids;
use cctf_load::otlp::attributes::{integer, text};
use cctf_load::otlp::export::Exporter;
use cctf_load::otlp::spans::control_request;
use cctf_proto::cctf::PlacementKind;
use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_send::Destination;

/// Maximum time until the receiver accepts the span.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A change of a module's deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// New number of instances.
    Scaled(u32),
    /// The node that the module has left.
    MovedFrom(String),
}

/// An event, with the names in the module's telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementEvent {
    pub happened: Happened,
    pub module: String,
    pub app_id: Option<String>,
    pub instance: Option<String>,
    pub node: String,
    pub stage: Option<String>,
    pub reason: Option<String>,
}

impl PlacementEvent {
    /// Reports the event with the current time.
    pub fn report(&self, destination: &Destination) -> anyhow::Result<()> {
        let at_unix_ns = clock::unix_ns();
        let resource = self.resource();
        let request = control_request(&resource, keys::PLACEMENT_SPAN, at_unix_ns, self.attributes());
        // A control span gets its own id, so no ids of requests are needed.
        Exporter::start(destination, &resource, Ids::new(0))?.send_control(
            keys::PLACEMENT_SPAN,
            request,
            TIMEOUT,
        )?;
        Ok(())
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let (kind, own) = match &self.happened {
            Happened::Scaled(replicas) => (
                PlacementKind::Scale,
                integer(keys::REPLICAS, i64::from(*replicas)),
            ),
            Happened::MovedFrom(node) => (PlacementKind::Migrate, text(keys::FROM_NODE_ID, node)),
        };
        let reason = self.reason.as_ref().map(|reason| text(keys::REASON, reason));
        [text(keys::PLACEMENT_EVENT, kind.as_str()), own]
            .into_iter()
            .chain(reason)
            .collect()
    }

    /// The resource of the module, not of this process.
    fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", Some(&self.module)),
            ("service.namespace", self.app_id.as_ref()),
            ("service.instance.id", self.instance.as_ref()),
            (keys::NODE_ID, Some(&self.node)),
            (keys::STAGE, self.stage.as_ref()),
        ];
        Resource {
            attributes: attributes
                .into_iter()
                .filter_map(|(key, value)| value.map(|value| text(key, value)))
                .collect(),
            ..Resource::default()
        }
    }
}
