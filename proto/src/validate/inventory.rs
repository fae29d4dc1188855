//! Rules on the inventories: `nodes.json`, `links.json` and `module_inventory.json`.

use std::collections::HashSet;

use super::known::{Known, UNKNOWN_NODE};
use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{Link, Module, Node, Stage};

/// Checks a node and adds it to `nodes`.
pub(super) fn check_node(
    row: &Node<'_>,
    nodes: &mut foldhash::HashMap<String, Stage>,
    place: Place,
    findings: &mut Findings,
) {
    if &*row.node_id == UNKNOWN_NODE {
        findings.add(Broken::UnknownNodeInInventory, place, || {
            format!("node_id is {UNKNOWN_NODE}")
        });
    } else if nodes.insert(row.node_id.to_string(), row.stage).is_some() {
        findings.add(Broken::InventoryUnique, place, || {
            format!("node {:?} is already listed", &*row.node_id)
        });
    }
}

/// Checks that a module is not listed twice, and adds it to `listed`.
pub(super) fn check_module(
    row: &Module<'_>,
    listed: &mut HashSet<(Option<String>, String)>,
    place: Place,
    findings: &mut Findings,
) {
    let app = row.app_id.as_ref().map(|app| app.to_string());
    if !listed.insert((app, row.module_id.to_string())) {
        findings.add(Broken::InventoryUnique, place, || {
            format!("module {:?} is already listed", &*row.module_id)
        });
    }
}

/// Checks the nodes and modules to which a module refers, after all nodes and modules are listed.
pub(super) fn check_module_references(
    row: &Module<'_>,
    known: &Known,
    place: Place,
    findings: &mut Findings,
) {
    for instance in row.instances.iter().flatten() {
        known.check_node(("instances.node_id", &instance.node_id), None, place, findings);
    }
    for call in row.calls.iter().flatten() {
        known.check_module(("calls.to", &call.to), place, findings);
    }
}

pub(super) fn check_link(
    row: &Link<'_>,
    known: &Known,
    listed: &mut HashSet<(String, String, Option<String>)>,
    place: Place,
    findings: &mut Findings,
) {
    let is_node = |node: &str| node != UNKNOWN_NODE && known.is_node(node);
    let is_own_net = row.v.strip_suffix(".net") == Some(&*row.u);
    for (field, node, is_end) in [
        ("u", &*row.u, is_node(&row.u)),
        ("v", &*row.v, is_own_net || is_node(&row.v)),
    ] {
        if !is_end {
            findings.add(Broken::LinkEndpointsKnown, place, || {
                format!("{field} {node:?} is not in nodes.json")
            });
        }
    }
    if let Some(bandwidth) = row.BW_bps.filter(|&bandwidth| bandwidth <= 0.0) {
        findings.add(Broken::LinkFigures, place, || format!("BW_bps is {bandwidth}"));
    }
    if let Some(propagation) = row.PR_s.filter(|&propagation| propagation < 0.0) {
        findings.add(Broken::LinkFigures, place, || format!("PR_s is {propagation}"));
    }
    // A node may have several interfaces, each with a link to the same network.
    let iface = row.iface.as_ref().map(|iface| iface.to_string());
    if !listed.insert((row.u.to_string(), row.v.to_string(), iface)) {
        findings.add(Broken::InventoryUnique, place, || {
            format!("the link from {} to {} is already listed", &*row.u, &*row.v)
        });
    }
}
