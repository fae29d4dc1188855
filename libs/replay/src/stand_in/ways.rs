//! [`Ways`]: converts the network times of calls if the stand-ins use other links than recorded.

use std::collections::HashMap;

use plan::work::Names;

/// The properties of a link that determine network times. The default has no delay: it is for calls within a node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// One-way delay, seconds.
    pub delay_s: f64,
    /// `None` means no limit.
    pub rate_bps: Option<f64>,
}

impl Link {
    /// Time on the link, in both directions, for a request and an answer with bodies of these sizes.
    fn time_ns(self, bytes: [f64; 2]) -> f64 {
        let bits = 8.0 * (bytes[0] + bytes[1]);
        let transfer_s = self.rate_bps.map_or(0.0, |rate| bits / rate);
        (2.0 * self.delay_s + transfer_s) * 1e9
    }
}

/// The numbers of two nodes: caller and callee.
type Pair = (u32, u32);

/// The recorded links and the links between the stand-ins. By default, they are the same.
#[derive(Debug, Default)]
pub struct Ways {
    /// For each instance: its recorded node, and the node of its stand-in.
    nodes: Vec<(u32, u32)>,
    recorded: HashMap<Pair, Link>,
    now: HashMap<Pair, Link>,
}

impl Ways {
    /// `node_of` returns the node of a stand-in, by module and instance; `None` means the recorded node. `recorded` and `now`
    /// return the link from one node to another, in the recording and between the stand-ins.
    pub fn new<'a>(
        names: &'a Names,
        node_of: impl Fn(&str, &str) -> Option<&'a str>,
        recorded: impl Fn(&str, &str) -> Option<Link>,
        now: impl Fn(&str, &str) -> Option<Link>,
    ) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut nodes = Vec::with_capacity(names.instances.len());
        for instance in &names.instances {
            let before = names.nodes[instance.node as usize].as_str();
            let after = node_of(&names.modules[instance.module as usize], &instance.id).unwrap_or(before);
            let mut number = |name: &'a str| {
                let next = numbers.len() as u32;
                *numbers.entry(name).or_insert(next)
            };
            nodes.push((number(before), number(after)));
        }
        let links = |find: &dyn Fn(&str, &str) -> Option<Link>| {
            let mut links = HashMap::new();
            for (u, from) in &numbers {
                for (v, to) in numbers.iter().filter(|(v, _)| *v != u) {
                    links.extend(find(u, v).map(|link| ((*from, *to), link)));
                }
            }
            links
        };
        Self {
            recorded: links(&recorded),
            now: links(&now),
            nodes,
        }
    }

    /// The network time of a call between two instances, in both directions. The time on the recorded link is replaced by the
    /// time on the current link. The rest of the recorded time, such as the work of HTTP libraries, does not depend on links
    /// and stays.
    pub fn net_ns(&self, (from, to): (u32, u32), recorded_ns: i64, bytes: [f64; 2]) -> i64 {
        let node = |instance: u32| self.nodes.get(instance as usize);
        let (Some(from), Some(to)) = (node(from), node(to)) else {
            return recorded_ns;
        };
        let link = |links: &HashMap<Pair, Link>, pair: Pair| links.get(&pair).copied().unwrap_or_default();
        let before = link(&self.recorded, (from.0, to.0));
        let after = link(&self.now, (from.1, to.1));
        if before == after {
            return recorded_ns;
        }
        let rest_ns = (recorded_ns as f64 - before.time_ns(bytes)).max(0.0);
        // The conversion from a float saturates.
        (rest_ns + after.time_ns(bytes)).round() as i64
    }
}
