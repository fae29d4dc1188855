//! [`Source`]: the input of an export: the plan of a run, and the nodes and links in its inventories.

use cctf_proto::cctf::{self, File, Part, Stage};
use foldhash::HashMap;
use plan::inventory::last_valid;
use plan::plan::{Plan, Tree};
use plan::work::{Call, NONE, What};
use rundir::ReadError;
use rundir::parts::Run;

/// A run or a part of it, with everything that a target can use. The numbers of nodes, modules, instances and endpoints are
/// those of [`plan::work::Names`]: the first one in the rows has the number 0, whatever its name.
#[derive(Debug)]
pub struct Source<'a> {
    pub run: &'a Run,
    pub parts: Vec<Part>,
    pub plan: &'a Plan,
    /// Maximum number of roots to export.
    pub limit: Option<u64>,
    /// Further sentences for the list of assumptions.
    pub notes: Vec<String>,
    /// Indexed by the number of the node.
    pub nodes: Vec<NodeFacts>,
    /// Links between nodes of the plan, sorted by the numbers of the nodes. At most one for each direction.
    pub links: Vec<LinkFacts>,
}

/// Facts about a node. The units are those of `nodes.json`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeFacts {
    pub stage: Stage,
    pub cpu_cores: Option<u64>,
    pub mem_mb: Option<f64>,
    pub cpu_freq_mhz: Option<f64>,
    pub mips_per_core: Option<f64>,
    pub cpu_score: Option<f64>,
    pub power_idle_w: Option<f64>,
    pub power_max_w: Option<f64>,
    /// Time of its clock minus that of the reference node.
    pub clock_offset_ns: Option<i64>,
}

impl NodeFacts {
    const UNKNOWN: Self = Self {
        stage: Stage::Unknown,
        cpu_cores: None,
        mem_mb: None,
        cpu_freq_mhz: None,
        mips_per_core: None,
        cpu_score: None,
        power_idle_w: None,
        power_max_w: None,
        clock_offset_ns: None,
    };
}

/// A directed link between two nodes, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkFacts {
    pub from: u32,
    pub to: u32,
    /// One-way propagation delay, seconds.
    pub delay_s: Option<f64>,
    /// Bits per second.
    pub rate_bps: Option<f64>,
}

impl<'a> Source<'a> {
    /// `first` is the first part that the plan includes.
    ///
    /// # Errors
    /// If an inventory cannot be read.
    pub fn new(run: &'a Run, first: &Part, plan: &'a Plan, limit: Option<u64>) -> Result<Self, ReadError> {
        let parts = run.parts_from(first)?;
        let names = &plan.recorded.names.nodes;
        let numbers: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let mut nodes = vec![NodeFacts::UNKNOWN; names.len()];
        last_valid(run, &parts, File::Nodes, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Node<'_>>>(bytes).ok()?;
            for row in &rows {
                if let Some(&number) = numbers.get(&*row.node_id) {
                    nodes[number as usize] = node(row);
                }
            }
            Some(())
        })?;
        let links = last_valid(run, &parts, File::Links, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Link<'_>>>(bytes).ok()?;
            let links = rows.iter().filter_map(|row| link(row, &numbers));
            Some(links.collect::<Vec<_>>())
        })?;
        let mut links = links.unwrap_or_default();
        links.sort_by_key(|link| (link.from, link.to));
        links.dedup_by_key(|link| (link.from, link.to));
        Ok(Self {
            run,
            parts,
            plan,
            limit,
            notes: Vec::new(),
            nodes,
            links,
        })
    }

    /// The trees of the exported roots, in the order of their arrival.
    pub fn trees(&self) -> impl Iterator<Item = Tree> + '_ {
        let limit = self
            .limit
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.plan.trees().take(limit)
    }

    /// Number of exported roots.
    pub fn roots(&self) -> u64 {
        let roots = self.plan.counts.roots;
        self.limit.map_or(roots, |limit| limit.min(roots))
    }

    /// Whether the user selected a part of the run. Then the run has rows that are not in the export.
    pub fn is_part(&self) -> bool {
        let span = self.plan.span;
        span.from_ns > i64::MIN || span.to_ns < i64::MAX || self.roots() < self.plan.counts.roots
    }

    /// The link between two nodes, if `links.json` has it.
    pub fn link(&self, from: u32, to: u32) -> Option<&LinkFacts> {
        let found = self
            .links
            .binary_search_by_key(&(from, to), |link| (link.from, link.to));
        found.ok().map(|index| &self.links[index])
    }

    /// Whether a call of the plan has a row in the run. Two kinds of calls have none: a sleep has the id of its invocation, and
    /// an inferred call has the id of the invocation that it reached.
    pub fn has_row(&self, call: &Call) -> bool {
        let recorded = &self.plan.recorded;
        let callee = recorded.work(call.callee);
        let is_inferred = callee.is_some_and(|callee| callee.span_id == call.span_id);
        call.what != What::Sleep && !is_inferred && recorded.works[call.work as usize].span_id != call.span_id
    }

    /// The pairs of different nodes of which the first one calls the second one, sorted by their numbers.
    pub fn calling_nodes(&self) -> Vec<(u32, u32)> {
        let recorded = &self.plan.recorded;
        let node = |work: u32| {
            let instance = recorded.works[work as usize].instance;
            recorded.names.instances[instance as usize].node
        };
        let called = recorded.calls.iter().filter(|call| call.callee != NONE);
        let mut pairs: Vec<(u32, u32)> = called.map(|call| (node(call.work), node(call.callee))).collect();
        pairs.retain(|(from, to)| from != to);
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Module and instance as shown to users, such as `front front-1`.
    pub fn instance_name(&self, instance: u32) -> String {
        let names = &self.plan.recorded.names;
        let instance = &names.instances[instance as usize];
        format!("{} {}", names.modules[instance.module as usize], instance.id)
    }

    /// Method and route as shown to users, such as `POST /work`.
    pub fn endpoint_name(&self, endpoint: u32) -> String {
        let names = &self.plan.recorded.names;
        let endpoint = &names.endpoints[endpoint as usize];
        match (&endpoint.method, &endpoint.route) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => names.modules[endpoint.module as usize].clone(),
        }
    }
}

fn node(row: &cctf::Node<'_>) -> NodeFacts {
    NodeFacts {
        stage: row.stage,
        cpu_cores: row.cpu_cores,
        mem_mb: row.mem_mb,
        cpu_freq_mhz: row.cpu_freq_mhz,
        mips_per_core: row.mips_per_core,
        cpu_score: row.cpu_score,
        power_idle_w: row.power_idle_w,
        power_max_w: row.power_max_w,
        clock_offset_ns: row.clock_offset_ms.map(|offset| offset.as_ns()),
    }
}

/// `None` for a network interface, and for a link to a node that is not in the plan.
fn link(row: &cctf::Link<'_>, numbers: &HashMap<&str, u32>) -> Option<LinkFacts> {
    Some(LinkFacts {
        from: *numbers.get(&*row.u)?,
        to: *numbers.get(&*row.v)?,
        delay_s: row.PR_s.filter(|delay| *delay >= 0.0),
        rate_bps: row.BW_bps.filter(|rate| *rate > 0.0),
    })
}
