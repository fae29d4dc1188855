//! [`EncodedFields`]: the fields of a row that depend on its sender only, as they appear in the line.

use cctf_proto::cctf::{Field, Invocation, Row, Text, field_index, push_field};

use super::Identity;

/// The fields that all rows of a sender share. Calls have the same four fields as invocations.
#[derive(Debug)]
pub struct EncodedFields {
    /// `module_id` and `instance_id`.
    pub module: Box<[u8]>,
    /// `node` and `stage`.
    pub node: Box<[u8]>,
}

const FIELDS: &[Field] = Invocation::FIELDS;
const MODULE_ID: usize = field_index(FIELDS, "module_id");
const INSTANCE_ID: usize = field_index(FIELDS, "instance_id");
const NODE: usize = field_index(FIELDS, "node");
const STAGE: usize = field_index(FIELDS, "stage");

impl EncodedFields {
    pub fn of(sender: &Identity) -> Self {
        let (mut module, mut node) = (Vec::new(), Vec::new());
        let push = |field: usize, text: &str, out: &mut Vec<u8>| {
            push_field(&FIELDS[field], Some(&Text::from(text)), out);
        };
        push(MODULE_ID, &sender.module_id, &mut module);
        push(INSTANCE_ID, &sender.instance_id, &mut module);
        push(NODE, &sender.node, &mut node);
        push_field(&FIELDS[STAGE], Some(&sender.stage()), &mut node);
        Self {
            module: module.into(),
            node: node.into(),
        }
    }
}
