//! The driver's identity, as the resource of its spans.

use cctf_proto::keys;
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::otlp::attributes::{integer, text};

/// The driver's module name.
pub const SERVICE_NAME: &str = "cctf-load";

/// The place at which the driver runs, and the application that gets its load.
#[derive(Debug, Clone, Default)]
pub struct DriverIdentity {
    /// `None`: only the host name identifies the node.
    pub node_id: Option<String>,
    pub stage: Option<String>,
    pub app_id: Option<String>,
}

impl DriverIdentity {
    /// The driver's resource. `instance_id` must be unique among drivers.
    pub fn resource(&self, instance_id: &str) -> Resource {
        let mut attributes = vec![
            text("service.name", SERVICE_NAME),
            text("service.instance.id", instance_id),
        ];
        let optional = [
            ("service.namespace", self.app_id.clone()),
            (keys::NODE_ID, self.node_id.clone()),
            (keys::STAGE, self.stage.clone()),
            ("host.name", host_name()),
        ];
        attributes.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| value.map(|value| text(key, &value))),
        );
        attributes.push(integer("process.pid", i64::from(std::process::id())));
        Resource {
            attributes,
            ..Resource::default()
        }
    }
}

pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
