//! Placements of a recording with three modules on two nodes: which changes they make, and which placements are refused.

use std::path::PathBuf;

use plan::work::Station;

use super::pairs::Called;
use super::recording::{Instance, Link, Module, Node};
use super::{Placed, Placement, PlacementError, Recording, StandIn};
use crate::tiers::network::{ConfiguredLink, NODES_MAX};

const STATION: Station = Station {
    slots: Some(2),
    is_released: false,
    queue_limit: None,
};

pub(super) fn module(instances: &[(&str, &str)], calls: &[&str]) -> Module {
    let instance = |(id, node): &(&str, &str)| Instance {
        id: (*id).to_owned(),
        node: (*node).to_owned(),
        station: STATION,
    };
    Module {
        app_id: None,
        instances: instances.iter().map(instance).collect(),
        calls: calls.iter().map(|call| (*call).to_owned()).collect(),
    }
}

fn node(stage: &str, mips_per_core: Option<f64>) -> Node {
    Node {
        stage: stage.to_owned(),
        mips_per_core,
        ..Node::default()
    }
}

pub(super) fn link(delay_s: f64, rate_bps: f64) -> Link {
    Link {
        delay_s: Some(delay_s),
        rate_bps: Some(rate_bps),
    }
}

/// `front` on ep0 calls `cart` and `stock` on edge0; `stock` calls `cart`. The driver is on driver0.
pub(super) fn recording() -> Recording {
    let name = |text: &str| text.to_owned();
    Recording {
        run_id: name("r"),
        modules: [
            (
                name("cart"),
                module(&[("cart-1", "edge0"), ("cart-2", "edge0")], &[]),
            ),
            (name("front"), module(&[("front-1", "ep0")], &["cart", "stock"])),
            (name("stock"), module(&[("stock-1", "edge0")], &["cart"])),
        ]
        .into(),
        nodes: [
            (name("driver0"), node("unknown", None)),
            (name("edge0"), node("edge", Some(2_000.0))),
            (name("ep0"), node("endpoint", Some(1_000.0))),
        ]
        .into(),
        links: [
            ((name("driver0"), name("ep0")), link(0.000_1, 3e6)),
            ((name("ep0"), name("edge0")), link(0.004_9, 47e6)),
        ]
        .into(),
        notes: Vec::new(),
    }
}

fn placed(placement: &str) -> Result<Placed, PlacementError> {
    let placement = Placement::parse(placement.as_bytes()).unwrap();
    Placed::new(&recording(), &placement)
}

fn refused(placement: &str) -> String {
    placed(placement).unwrap_err().to_string()
}

/// The only stand-in of a module.
fn only<'a>(placed: &'a Placed, module: &str) -> &'a StandIn {
    let mut all = placed
        .stand_ins
        .iter()
        .filter(|stand_in| stand_in.module == module);
    let first = all.next().unwrap();
    assert!(all.next().is_none());
    first
}

/// Calling node, called node, delay and rate of each link.
pub(super) fn links(placed: &Placed, driver: &str) -> Vec<(String, String, u64, Option<u64>)> {
    let (network, _) = placed.network(driver, PathBuf::new(), &Called::new()).unwrap();
    let parts = |link: ConfiguredLink| (link.u, link.v, link.delay_ms, link.rate_bps);
    network.links.into_iter().map(parts).collect()
}

pub(super) fn edge(
    u: &str,
    v: &str,
    delay_ms: u64,
    rate_bps: Option<u64>,
) -> (String, String, u64, Option<u64>) {
    (u.to_owned(), v.to_owned(), delay_ms, rate_bps)
}

#[test]
fn without_changes_every_instance_is_where_it_was() {
    let placed = placed("{}").unwrap();
    let all: Vec<(&str, &str, &str, &str)> = placed
        .stand_ins
        .iter()
        .map(|one| {
            (
                one.module.as_str(),
                one.instance.as_str(),
                one.node.as_str(),
                one.stage.as_str(),
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            ("front", "front-1", "ep0", "endpoint"),
            ("stock", "stock-1", "edge0", "edge"),
            ("cart", "cart-1", "edge0", "edge"),
            ("cart", "cart-2", "edge0", "edge"),
        ],
        "each caller is before its callees"
    );
    assert!(placed.stand_ins.iter().all(|one| one.station == STATION));
    assert_eq!(only(&placed, "front").mips_per_core, Some(1_000.0));
    assert!(placed.notes.is_empty() && Placement::parse(b"{}").unwrap().changes_nothing());
    let (network, notes) = placed.network("driver0", PathBuf::new(), &Called::new()).unwrap();
    let services: Vec<(&str, u16)> = network
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.services))
        .collect();
    assert_eq!(services, [("edge0", 3), ("ep0", 1)]);
    // Of the recorded delay of 4.9 ms, the caller waits for the rest. 47 Mbit/s of bodies need a higher rate of frames. The
    // driver's path with a delay of 0.1 ms is not emulated.
    assert!(
        notes.len() == 1 && notes[0].contains("cut to whole milliseconds"),
        "{notes:?}"
    );
    assert_eq!(
        links(&placed, "driver0"),
        [edge("ep0", "edge0", 4, Some(49_142_265))]
    );
}

#[test]
fn a_placement_moves_modules_and_changes_slots_and_speed() {
    let placed = placed(
        r#"{"modules": {"stock": {"node": "cloud0", "slots": "unlimited", "slot_policy": "released", "queue_limit": 5},
                        "front": {"slots": 7}},
            "nodes": {"cloud0": {"stage": "cloud", "mips_per_core": 4000}, "ep0": {"mips_per_core": 500}},
            "links": [{"u": "cloud0", "v": "ep0", "delay_ms": 20}, {"u": "ep0", "v": "edge0", "rate_bps": 1000000}]}"#,
    )
    .unwrap();
    let stock = only(&placed, "stock");
    assert_eq!((stock.node.as_str(), stock.stage.as_str()), ("cloud0", "cloud"));
    assert_eq!(stock.mips_per_core, Some(4_000.0));
    assert_eq!(
        stock.station,
        Station {
            slots: None,
            is_released: true,
            queue_limit: Some(5)
        }
    );
    let front = only(&placed, "front");
    assert_eq!((front.station.slots, front.mips_per_core), (Some(7), Some(500.0)));
    assert_eq!(front.stage, "endpoint");
    assert_eq!(
        links(&placed, "driver0"),
        [
            edge("cloud0", "edge0", 0, None),
            edge("ep0", "cloud0", 20, None),
            edge("ep0", "edge0", 4, Some(1_000_000)),
        ],
        "a link of a placement holds for both directions, and has the recorded figures that it does not set"
    );
    let (_, notes) = placed.network("driver0", PathBuf::new(), &Called::new()).unwrap();
    assert!(
        notes.len() == 2 && notes[0].contains("delay and rate of cloud0->edge0 are unknown"),
        "{notes:?}"
    );
}

#[test]
fn named_instances_replace_the_recorded_ones_and_a_note_says_so() {
    let placed = placed(r#"{"modules": {"cart": {"instances": ["cart-2", "spare"]}}}"#).unwrap();
    let carts: Vec<(&str, &str)> = placed
        .stand_ins
        .iter()
        .filter(|one| one.module == "cart")
        .map(|one| (one.instance.as_str(), one.node.as_str()))
        .collect();
    assert_eq!(carts, [("cart-2", "edge0"), ("spare", "edge0")]);
    assert_eq!(
        placed.notes,
        ["1 recorded instance of cart has no stand-in: its 2 in turn get the requests"]
    );
}

#[test]
fn a_driver_with_a_link_of_its_own_calls_over_it() {
    let mut recording = recording();
    recording
        .links
        .insert(("driver0".to_owned(), "ep0".to_owned()), link(0.03, 9e9));
    let placed = Placed::new(&recording, &Placement::default()).unwrap();
    assert_eq!(
        links(&placed, "driver0").pop().unwrap(),
        edge("driver0", "ep0", 30, None),
        "rates above those of tbf are no limit"
    );
    assert_eq!(
        links(&placed, "ep0").len(),
        1,
        "a driver on a node with stand-ins has none"
    );
}

#[test]
fn what_does_not_exist_or_cannot_be_is_refused_in_one_sentence() {
    for (placement, sentence) in [
        (
            r#"{"modules": {"kart": {}}}"#,
            r#"invalid placement: r has no module "kart"; its modules are "cart", "front", "stock""#,
        ),
        (
            r#"{"modules": {"cart": {"node": "moon"}}}"#,
            r#"module "cart" is on the unknown node "moon"; use one of "driver0", "edge0", "ep0", or declare "moon" in "nodes""#,
        ),
        (
            r#"{"nodes": {"edge1": {"stage": "edge"}}}"#,
            r#"node "edge1" is not in the recording, and no module is on it"#,
        ),
        (
            r#"{"links": [{"u": "ep0", "v": "cloud7"}]}"#,
            r#"the link "ep0" to "cloud7" has the unknown node "cloud7""#,
        ),
        (
            r#"{"links": [{"u": "ep0", "v": "edge0", "delay_ms": 60001}]}"#,
            "a delay of 60001 ms; use at most 60000 ms",
        ),
        (
            r#"{"links": [{"u": "ep0", "v": "edge0", "rate_bps": 9}]}"#,
            "a rate of 9 bit/s; use 100000 to 1000000000",
        ),
        (
            r#"{"links": [{"u": "ep0", "v": "ep0"}]}"#,
            r#"a link leads from node "ep0" to itself; calls inside a node need no link: remove it"#,
        ),
        (
            r#"{"links": [{"u": "ep0", "v": "edge0"}, {"u": "edge0", "v": "ep0"}, {"u": "ep0", "v": "edge0"}]}"#,
            r#"the link "ep0" to "edge0" is there twice; remove one"#,
        ),
        (
            r#"{"modules": {"cart": {"instances": []}}}"#,
            r#"module "cart" has no instances, or one twice"#,
        ),
        (
            r#"{"modules": {"cart": {"instances": ["a", "a"]}}}"#,
            "no instances, or one twice",
        ),
        (
            r#"{"modules": {"cart": {"instances": [""]}}}"#,
            r#"the name "" of its instance is empty"#,
        ),
        (
            r#"{"nodes": {"ep0": {"mips_per_core": -1}}}"#,
            r#"node "ep0" has a speed of -1"#,
        ),
    ] {
        let text = refused(placement);
        assert!(text.contains(sentence), "{text}");
    }
}

#[test]
fn the_example_of_the_page_has_every_field() {
    let page = include_str!("../../../../docs/stand-ins.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let placement = Placement::parse(example.as_bytes()).unwrap();
    let cart = &placement.modules["cart"];
    assert!(cart.node.is_some() && cart.slots.is_some() && cart.slot_policy.is_some());
    assert!(cart.queue_limit.is_some() && cart.instances.is_some());
    let fog = &placement.nodes["fog0"];
    assert!(fog.stage.is_some() && fog.mips_per_core.is_some());
    assert!(placement.links[0].delay_ms.is_some() && placement.links[0].rate_bps.is_some());
    let mut recording = recording();
    recording.modules.get_mut("cart").unwrap().instances.truncate(1);
    assert!(Placed::new(&recording, &placement).is_ok());
}

#[test]
fn too_many_stand_ins_and_nodes_are_refused() {
    let many = |count: usize| {
        let mut recording = recording();
        let ids: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
        let instances: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        recording
            .modules
            .insert("many".to_owned(), module(&instances, &[]));
        Placed::new(&recording, &Placement::default())
    };
    let text = many(253).unwrap_err().to_string();
    assert!(
        text.contains("it has 257 instances of 4 modules, and one machine takes 256; name fewer in"),
        "{text}"
    );
    assert!(
        many(NODES_MAX - 2)
            .unwrap()
            .network("d", PathBuf::new(), &Called::new())
            .is_ok()
    );
    let error = many(NODES_MAX - 1)
        .unwrap()
        .network("d", PathBuf::new(), &Called::new());
    let text = error.unwrap_err().to_string();
    assert!(text.contains("on 33 nodes, and the maximum is 32"), "{text}");
}

/// One module with an instance on each of three nodes: `a` on ep0 calls `b` on edge0, which calls `c` on cloud0.
pub(super) fn chain() -> Recording {
    let name = |text: &str| text.to_owned();
    Recording {
        run_id: name("r"),
        modules: [(
            name("svc"),
            module(&[("a", "ep0"), ("b", "edge0"), ("c", "cloud0")], &["svc"]),
        )]
        .into(),
        nodes: Default::default(),
        links: [
            ((name("ep0"), name("edge0")), link(0.005, 5e7)),
            ((name("edge0"), name("cloud0")), link(0.02, 5e7)),
        ]
        .into(),
        notes: Vec::new(),
    }
}

#[test]
fn the_instances_of_a_module_on_one_node_move_by_themselves() {
    let of = |text: &str| Placed::new(&chain(), &Placement::parse(text.as_bytes()).unwrap());
    let placed =
        of(r#"{"modules": {"svc": {"slots": 5}, "svc@cloud0": {"node": "ep0", "slots": 1}}}"#).unwrap();
    let each = placed.stand_ins.iter();
    let all = each.map(|one| format!("{} {} {:?}", one.instance, one.node, one.station.slots));
    assert!(all.eq(["a ep0 Some(5)", "b edge0 Some(5)", "c ep0 Some(1)"]));
    // The last call now leads back to ep0, over the recorded link of the other direction.
    assert_eq!(
        links(&placed, "driver0"),
        [
            edge("edge0", "ep0", 5, Some(52_279_006)),
            edge("ep0", "edge0", 5, Some(52_279_006)),
        ]
    );
    for (text, sentence) in [
        (
            r#"{"modules": {"svc@moon": {"slots": 1}}}"#,
            r#"no module "svc@moon"; its modules are "svc", "svc@cloud0", "svc@edge0", "svc@ep0""#,
        ),
        (
            r#"{"modules": {"svc@ep0": {"instances": ["a"]}}}"#,
            r#""svc@ep0" is a part of a module and has "instances""#,
        ),
    ] {
        let refused = of(text).unwrap_err().to_string();
        assert!(refused.contains(sentence), "{refused}");
    }
}
