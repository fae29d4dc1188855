//! [`Senders`]: numbers for the senders of rows, each a module with an instance and its node, and the fields that they have in all of
//! their lines.

use aggregate::maps::Map;
use cctf_merge::made::{MadeTrace, Sender};
use cctf_normalizer::mapping::Identity;
use cctf_proto::cctf::{Field, Invocation, Row, Text, field_index, push_field};

use super::names::{NONE, NameId, Names};

/// A sender by its names: module and instance.
pub type Source = (NameId, NameId);

/// Fields of a sender as parts of a line. Calls and invocations have the same ones.
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
    fn of(sender: &Sender) -> Self {
        let (mut module, mut node) = (Vec::new(), Vec::new());
        let push = |field: usize, text: &str, out: &mut Vec<u8>| {
            push_field(&FIELDS[field], Some(&Text::from(text)), out);
        };
        push(MODULE_ID, &sender.module_id, &mut module);
        push(INSTANCE_ID, &sender.instance_id, &mut module);
        push(NODE, &sender.node, &mut node);
        push_field(&FIELDS[STAGE], Some(&sender.stage), &mut node);
        Self {
            module: module.into(),
            node: node.into(),
        }
    }
}

#[derive(Default)]
pub struct Senders {
    numbers: Map<Source, u32>,
    all: Vec<EncodedFields>,
}

impl Senders {
    /// The number of a sender. A new one is added to the trace. `nodes` has the node of each instance.
    pub fn number(
        &mut self,
        source: Source,
        names: &Names,
        nodes: &Map<NameId, NameId>,
        made: &mut MadeTrace,
    ) -> u32 {
        if let Some(&number) = self.numbers.get(&source) {
            return number;
        }
        let (module, instance) = source;
        let node = nodes.get(&instance).copied().unwrap_or(NONE);
        // The normalizer's rules for missing names apply.
        let identity = Identity::from_names(names.text(module), names.text(instance), names.text(node));
        let sender = Sender {
            stage: identity.stage(),
            module_id: identity.module_id,
            instance_id: identity.instance_id,
            node: identity.node,
        };
        let number = self.all.len() as u32;
        self.numbers.insert(source, number);
        self.all.push(EncodedFields::of(&sender));
        made.add_sender(sender);
        number
    }

    pub fn get(&self, number: u32) -> Option<&EncodedFields> {
        self.all.get(number as usize)
    }
}
