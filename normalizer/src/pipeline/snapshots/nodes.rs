//! Writes nodes.json: the nodes that appear in a run's rows.

use aggregate::ids::NodeId;
use cctf_proto::cctf::{Node, Text};

use crate::pipeline::shared::Shared;
use crate::pipeline::shared::run::Run;

pub fn nodes_of<'a>(run: &Run, shared: &'a Shared) -> Vec<Node<'a>> {
    let mut nodes: Vec<Node<'_>> = run.nodes.iter().map(|&node| node_row(node, shared)).collect();
    nodes.sort_unstable_by(|left, right| left.node_id.cmp(&right.node_id));
    nodes
}

fn node_row(node: NodeId, shared: &Shared) -> Node<'_> {
    let node = shared.sources.node(node);
    let text = |field: &'_ Option<String>| field.clone().map(Text::from);
    Node {
        node_id: node.node.as_str().into(),
        stage: node.stage(),
        cpu_cores: node.cpu_cores,
        mem_mb: node.mem_mb,
        cpu_model: text(&node.cpu_model),
        cpu_freq_mhz: node.cpu_freq_mhz,
        mips_per_core: node.mips_per_core,
        cpu_score: node.cpu_score,
        arch: text(&node.arch),
        os: text(&node.os),
        region: text(&node.region),
        zone: text(&node.zone),
        provider: text(&node.provider),
        host_id: text(&node.host_id),
        host_name: text(&node.host_name),
        ips: (!node.ips.is_empty()).then(|| node.ips.iter().map(|ip| ip.as_str().into()).collect()),
        power_idle_w: node.power_idle_w,
        power_max_w: node.power_max_w,
        clock_offset_ms: None,
        clock_error_ms: None,
    }
}
