//! [`Source`]: a resource that was read. The fields that its rows share are encoded once.

use std::sync::OnceLock;

use aggregate::ids::{InstanceId, NodeId};
use cctf_proto::cctf::{Field, Invocation, Row, Text, field_index, push_field};
use serde::{Deserialize, Serialize};

use crate::mapping::Identity;

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

/// The fields that all rows of a source share, as they appear in a row.
#[derive(Debug)]
pub struct EncodedFields {
    /// module_id and instance_id.
    pub module: Vec<u8>,
    /// node and stage.
    pub node: Vec<u8>,
}

/// Calls have the same four fields as invocations.
const FIELDS: &[Field] = Invocation::FIELDS;
const MODULE_ID: usize = field_index(FIELDS, "module_id");
const INSTANCE_ID: usize = field_index(FIELDS, "instance_id");
const NODE: usize = field_index(FIELDS, "node");
const STAGE: usize = field_index(FIELDS, "stage");

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
        self.encoded.get_or_init(|| {
            let (mut module, mut node) = (Vec::new(), Vec::new());
            let text = |text| Some(Text::from(text));
            let identity = &self.identity;
            push_field(
                &FIELDS[MODULE_ID],
                text(&*identity.module_id).as_ref(),
                &mut module,
            );
            push_field(
                &FIELDS[INSTANCE_ID],
                text(&*identity.instance_id).as_ref(),
                &mut module,
            );
            push_field(&FIELDS[NODE], text(&*identity.node).as_ref(), &mut node);
            push_field(&FIELDS[STAGE], Some(&identity.stage()), &mut node);
            EncodedFields { module, node }
        })
    }
}
