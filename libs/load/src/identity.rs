//! Who the driver is, as the resource of its spans.

use cctf_proto::keys;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::spans::{integer, text};

/// Name of the driver as a module.
pub const SERVICE_NAME: &str = "cctf-load";

/// Who the driver is.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Node that it runs on; None leaves that to the host's name.
    pub node_id: Option<String>,
    /// Stage of that node.
    pub stage: Option<String>,
    /// Application.
    pub app_id: Option<String>,
}

impl Identity {
    /// The driver's resource. `instance_id` must be unique among drivers.
    pub fn resource(&self, instance_id: &str) -> Resource {
        let mut attributes = vec![
            text("service.name", SERVICE_NAME),
            text("service.instance.id", instance_id),
        ];
        let told = [
            ("service.namespace", self.app_id.clone()),
            (keys::NODE_ID, self.node_id.clone()),
            (keys::STAGE, self.stage.clone()),
            ("host.name", host_name()),
        ];
        attributes.extend(
            told.into_iter()
                .filter_map(|(key, value)| value.map(|value| text(key, &value))),
        );
        attributes.push(integer("process.pid", i64::from(std::process::id())));
        Resource {
            attributes,
            ..Resource::default()
        }
    }
}

/// The host's name, as the kernel has it.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
