//! Writes links.json, with network interfaces and estimated links, and rows of link_metrics.jsonl for the seconds of links.

use aggregate::ids::{NodeId, RunId};
use aggregate::links::{LinkStats, estimated_row, second_row};
use cctf_proto::cctf::{File, Link, LinkSource};

use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::run::Run;

pub fn links_of<'a>(run: &Run, shared: &'a Shared) -> Vec<Link<'a>> {
    let name = |node: NodeId| shared.sources.node(node).node.as_str();
    let mut links: Vec<Link<'_>> = Vec::new();
    for (node, interface) in &run.interfaces {
        links.push(Link {
            u: name(*node).into(),
            v: format!("{}.net", name(*node)).into(),
            BW_bps: None,
            PR_s: None,
            src: LinkSource::Measured,
            jitter_s: None,
            samples: None,
            iface: Some(interface.clone().into()),
            fit_error_ms: None,
        });
    }
    for (&(u, v), stats) in &run.links {
        links.extend(estimated_row(name(u), name(v), stats));
    }
    links.sort_unstable_by(|left, right| {
        (&left.u, &left.v, &left.iface).cmp(&(&right.u, &right.v, &right.iface))
    });
    links
}

/// For each link of a run, writes the rows of the seconds that were opened before `opened_before`.
pub fn write_seconds(run: RunId, opened_before: u64, shared: &mut Shared, output: &mut Output) {
    let mut pairs: Vec<(NodeId, NodeId)> = shared.runs[run].links.keys().copied().collect();
    pairs.sort_unstable();
    for pair in pairs {
        let link: Option<&mut LinkStats> = shared.runs[run].links.get_mut(&pair);
        let seconds = link.map_or(Vec::new(), |link| link.take_seconds(opened_before));
        if seconds.is_empty() {
            continue;
        }
        let (from, to) = (shared.sources.node(pair.0), shared.sources.node(pair.1));
        let link = format!("{}->{}", from.node, to.node);
        // Second 0 is left out, because its row would have the timestamp zero.
        for (second, calls) in seconds.into_iter().filter(|(second, _)| *second > 0) {
            let ts = second * 1_000_000_000;
            let row = second_row((&from.node, from.stage()), &link, second, calls);
            shared.runs.write_row(run, File::LinkMetrics, &row, ts, output);
        }
    }
}
