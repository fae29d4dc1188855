//! [`Senders`]: assigns numbers to the senders of rows, and keeps their encoded fields. A sender is a module with an instance and
//! its node.

use aggregate::maps::Map;
use cctf_merge::made::{MadeTrace, Sender};
use cctf_normalizer::mapping::{EncodedFields, Identity};

use super::names::{NONE, NameId, Names};

/// A sender by its names: module and instance.
pub type Source = (NameId, NameId);

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
        let number = self.all.len() as u32;
        self.numbers.insert(source, number);
        self.all.push(EncodedFields::of(&identity));
        made.add_sender(Sender {
            stage: identity.stage(),
            module_id: identity.module_id,
            instance_id: identity.instance_id,
            node: identity.node,
        });
        number
    }

    pub fn get(&self, number: u32) -> Option<&EncodedFields> {
        self.all.get(number as usize)
    }
}
