//! [`Nodes`]: `nodes.json`.

use std::collections::BTreeMap;

use anyhow::Context;
use cctf_proto::cctf::{File, Milliseconds, Node, Row, Stage, Text, field_index};

use crate::inventories::union::{Conflicts, Object, encode_array};
use crate::model::Offset;
use crate::registry::{EntityRegistry, UNKNOWN_NODE};
use crate::values::encoded;

const NODE_ID: usize = field_index(Node::FIELDS, "node_id");
const STAGE: usize = field_index(Node::FIELDS, "stage");
const CLOCK_OFFSET: usize = field_index(Node::FIELDS, "clock_offset_ms");
const CLOCK_ERROR: usize = field_index(Node::FIELDS, "clock_error_ms");

/// Nodes by name.
#[derive(Debug, Default)]
pub struct Nodes(BTreeMap<String, Object>);

impl Nodes {
    pub fn add(&mut self, raw: &[u8], conflicts: &mut Conflicts) -> anyhow::Result<()> {
        let mut node = Object::read(raw, Node::FIELDS)?;
        // These fields are recomputed from rows.
        for index in [CLOCK_OFFSET, CLOCK_ERROR] {
            node.remove(index);
        }
        let id = node.text(NODE_ID).context("a node has no node_id")?;
        // An unknown stage does not contradict a known one.
        if node.text(STAGE).as_deref() == Some(Stage::Unknown.as_str()) {
            node.remove(STAGE);
        }
        self.0
            .entry(id.clone())
            .or_default()
            .unite(&node, Node::FIELDS, |field, kept, dropped| {
                conflicts.add(File::Nodes.name(), &id, field, kept, dropped);
            });
        Ok(())
    }

    /// Adds the nodes that only rows name, the stages from rows, and the clock offsets. Returns the content of the file.
    pub fn finish(
        &mut self,
        registry: &EntityRegistry,
        offsets: &BTreeMap<String, Offset>,
        conflicts: &mut Conflicts,
    ) -> Vec<u8> {
        for node in registry.nodes.iter().filter(|node| node.name != UNKNOWN_NODE) {
            let object = self.0.entry(node.name.clone()).or_default();
            object.set(NODE_ID, encoded(&Text::from(node.name.as_str())));
            if node.is_contradicted() {
                let recorded = object.get(STAGE).unwrap_or(b"null");
                conflicts.add(File::Nodes.name(), &node.name, "stage", b"\"unknown\"", recorded);
            }
            if let Some(stage) = node.stage() {
                object.set(STAGE, encoded(&stage));
            }
        }
        for (id, object) in &mut self.0 {
            if object.get(STAGE).is_none() {
                object.set(STAGE, encoded(&Stage::Unknown));
            }
            if let Some(offset) = offsets.get(id) {
                object.set(CLOCK_OFFSET, encoded(&Milliseconds::from_ns(offset.ns)));
                object.set(CLOCK_ERROR, encoded(&Milliseconds::from_ns(offset.error_ns)));
            }
        }
        encode_array(self.0.values(), Node::FIELDS)
    }

    /// The stage of a node, after [`Self::finish`].
    pub fn stage_of(&self, node: &str) -> Stage {
        let stage = self.0.get(node).and_then(|node| node.text(STAGE));
        let stage = stage.and_then(|stage| Stage::parse(&stage));
        stage.unwrap_or(Stage::Unknown)
    }
}
