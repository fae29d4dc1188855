//! [`Placement::to_json`]: writes a placement in the format of the file that [`Placement::parse`] reads.

use serde_json::{Map, Value, json};

use super::placement::{
    EventPlace, EventSlots, LinkPlace, ModulePlace, NodePlace, Placement, SLOT_POLICIES, Slots,
};

impl Placement {
    /// The file's content, for people and for [`Placement::parse`].
    pub fn to_json(&self) -> Vec<u8> {
        let modules = self
            .modules
            .iter()
            .map(|(name, place)| (name.clone(), module(place)));
        let nodes = self.nodes.iter().map(|(name, place)| (name.clone(), node(place)));
        let mut file = Map::new();
        let mut add = |name: &str, value: Value, is_empty: bool| {
            if !is_empty {
                file.insert(name.to_owned(), value);
            }
        };
        add(
            "modules",
            modules.collect::<Map<_, _>>().into(),
            self.modules.is_empty(),
        );
        add(
            "nodes",
            nodes.collect::<Map<_, _>>().into(),
            self.nodes.is_empty(),
        );
        let links: Vec<Value> = self.links.iter().map(link).collect();
        add("links", links.into(), self.links.is_empty());
        let events: Vec<Value> = self.events.iter().map(event).collect();
        add("events", events.into(), self.events.is_empty());
        let mut text = format!("{:#}", Value::Object(file)).into_bytes();
        text.push(b'\n');
        text
    }
}

/// The fields that have a value.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let known = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(known.collect())
}

fn module(place: &ModulePlace) -> Value {
    let policy = place.slot_policy.and_then(|policy| {
        let named = SLOT_POLICIES.iter().find(|(_, known)| *known == policy);
        named.map(|(name, _)| json!(name))
    });
    object([
        ("node", place.node.as_ref().map(|node| json!(node))),
        ("slots", place.slots.map(slots)),
        ("slot_policy", policy),
        ("queue_limit", place.queue_limit.map(|limit| json!(limit))),
        ("instances", place.instances.as_ref().map(|ids| json!(ids))),
    ])
}

fn slots(slots: Slots) -> Value {
    match slots {
        Slots::Count(count) => json!(count),
        Slots::Unlimited => json!("unlimited"),
    }
}

fn node(place: &NodePlace) -> Value {
    object([
        ("stage", place.stage.map(|stage| json!(stage.as_str()))),
        ("mips_per_core", place.mips_per_core.map(|mips| json!(mips))),
    ])
}

fn event(event: &EventPlace) -> Value {
    object([
        ("at_s", Some(json!(event.at_s))),
        ("module", Some(json!(event.module))),
        ("node", event.node.as_ref().map(|node| json!(node))),
        ("replicas", event.replicas.map(|count| json!(count))),
        (
            "slots",
            event.slots.map(|changed| match changed {
                EventSlots::Recorded => json!("recorded"),
                EventSlots::Set(set) => slots(set),
            }),
        ),
        ("reason", event.reason.as_ref().map(|reason| json!(reason))),
    ])
}

fn link(link: &LinkPlace) -> Value {
    object([
        ("u", Some(json!(link.u))),
        ("v", Some(json!(link.v))),
        ("delay_ms", link.delay_ms.map(|delay| json!(delay))),
        ("rate_bps", link.rate_bps.map(|rate| json!(rate))),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::placement::{SlotPolicy, Stage};
    use super::*;

    #[test]
    fn a_written_placement_is_read_as_it_was() {
        let name = |text: &str| text.to_owned();
        let cart = ModulePlace {
            node: Some(name("fog0")),
            slots: Some(Slots::Count(2)),
            slot_policy: Some(SlotPolicy::Released),
            queue_limit: Some(7),
            instances: Some(vec![name("a"), name("b")]),
        };
        let stock = ModulePlace {
            slots: Some(Slots::Unlimited),
            ..ModulePlace::default()
        };
        let fog = NodePlace {
            stage: Some(Stage::Edge),
            mips_per_core: Some(1_000.5),
        };
        let placement = Placement {
            modules: [(name("cart"), cart), (name("stock \"1\""), stock)].into(),
            nodes: [(name("fog0"), fog), (name("new"), NodePlace::default())].into(),
            links: vec![LinkPlace {
                u: name("edge0"),
                v: name("fog0"),
                delay_ms: Some(20),
                rate_bps: None,
            }],
            events: [
                None,
                Some(EventSlots::Recorded),
                Some(EventSlots::Set(Slots::Unlimited)),
                Some(EventSlots::Set(Slots::Count(2))),
            ]
            .map(|slots| EventPlace {
                at_s: 1.5,
                module: name("cart"),
                node: Some(name("new")),
                replicas: Some(3),
                slots,
                reason: None,
            })
            .to_vec(),
        };
        assert_eq!(Placement::parse(&placement.to_json()), Ok(placement));
        assert_eq!(Placement::default().to_json(), b"{}\n");
    }
}
