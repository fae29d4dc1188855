//! [`Source`]: a resource that was read. The fields that its rows share are encoded once.

use std::sync::OnceLock;

use aggregate::ids::{InstanceId, NodeId};
use serde::{Deserialize, Serialize};

use crate::mapping::{EncodedFields, Identity};

/// A resource that was read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Source {
    pub identity: Identity,
    /// `None` if the source is not a service, or there are too many instances.
    pub instance: Option<InstanceId>,
    /// `None` if the node is unknown, or there are too many nodes.
    pub node: Option<NodeId>,
    /// A number that distinguishes several sources of one node.
    pub number: u64,
    #[serde(skip)]
    encoded: OnceLock<EncodedFields>,
}

impl Source {
    pub fn new(identity: Identity, instance: Option<InstanceId>, node: Option<NodeId>, number: u64) -> Self {
        Self {
            identity,
            instance,
            node,
            number,
            encoded: OnceLock::new(),
        }
    }

    /// Encodes the fields once. So the four texts need not be searched for characters to escape in each row.
    pub fn encoded(&self) -> &EncodedFields {
        self.encoded.get_or_init(|| EncodedFields::of(&self.identity))
    }
}
