//! [`Placed::network`]: the nodes that the stand-ins need, and the links over which they call each other.

use std::path::PathBuf;

use super::error::PlacementError;
use super::figures::Rounding;
use super::pairs::{Called, pairs_of_calls};
use super::placed::Placed;
use super::stand_in::StandIn;
use crate::tiers::network::{ConfiguredLink, NODES_MAX, Network, Node};

/// Note about recorded delays with a fraction of a millisecond.
const CUT: &str = "recorded delays are cut to whole milliseconds, the resolution of toxiproxy; calls between stand-ins wait for the rest";

impl Placed {
    /// The network of the stand-ins, and notes about links whose delay or rate is unknown. Each pair of nodes between which calls were
    /// recorded has a link. The load driver is on node `driver`.
    ///
    /// # Errors
    /// If there are too many nodes.
    pub fn network(
        &self,
        driver: &str,
        toxiproxy: PathBuf,
        called: &Called<'_>,
    ) -> Result<(Network, Vec<String>), PlacementError> {
        let names = self.nodes();
        if names.len() > NODES_MAX {
            return Err(PlacementError::TooManyNodes(names.len()));
        }
        let nodes = names.iter().map(|name| Node {
            name: (*name).to_owned(),
            services: self.on_node(name).count() as u16,
        });
        let mut links = Vec::new();
        let mut unknown = Vec::new();
        let mut pairs = self.pairs.clone();
        pairs.extend(pairs_of_calls(&self.stand_ins, called));
        let stages = self.stages.iter();
        pairs.extend(stages.flat_map(|stage| pairs_of_calls(&stage.of_recorded, called)));
        for (u, v) in &pairs {
            match self.figures.link(u, v, Rounding::Down) {
                Some(link) => links.push(link),
                None => {
                    unknown.push(format!("{u}->{v}"));
                    links.push(ConfiguredLink {
                        u: u.clone(),
                        v: v.clone(),
                        delay_ms: 0,
                        rate_bps: None,
                    });
                }
            }
        }
        if !names.contains(driver) {
            let link = |name: &&str| self.figures.link(driver, name, Rounding::Nearest);
            let to_driver = names.iter().filter_map(link);
            links.extend(to_driver.filter(|link| link.delay_ms > 0 || link.rate_bps.is_some()));
        }
        let is_used = |u: &str, v: &str| links.iter().any(|link| (&*link.u, &*link.v) == (u, v));
        let unused = self
            .figures
            .placed()
            .filter(|(u, v)| !is_used(u, v) && !is_used(v, u));
        let unused = unused.map(|(u, v)| format!("{u}->{v}")).collect::<Vec<_>>();
        let is_cut = pairs.iter().any(|(u, v)| self.figures.is_cut(u, v));
        let notes = unknown_note(&unknown)
            .into_iter()
            .chain(unused_note(&unused))
            .chain(is_cut.then(|| CUT.to_owned()))
            .collect();
        let network = Network {
            nodes: nodes.collect(),
            links,
            toxiproxy,
        };
        Ok((network, notes))
    }

    /// The stand-ins on a node. The position of a stand-in is its service number on the node.
    pub fn on_node<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a StandIn> {
        self.stand_ins
            .iter()
            .filter(move |stand_in| stand_in.node == node)
    }
}

fn unknown_note(links: &[String]) -> Option<String> {
    let links = shown(links)?;
    Some(format!(
        "delay and rate of {links} are unknown: no delay and no limit; set them in \"links\" of a placement"
    ))
}

fn unused_note(links: &[String]) -> Option<String> {
    let links = shown(links)?;
    Some(format!(
        "{links} in the placement has no effect: no call passes this link"
    ))
}

/// The first links of a list as text. `None` if the list is empty.
fn shown(links: &[String]) -> Option<String> {
    const SHOWN_MAX: usize = 5;
    let shown = links[..links.len().min(SHOWN_MAX)].join(", ");
    match links.len().saturating_sub(SHOWN_MAX) {
        _ if links.is_empty() => None,
        0 => Some(shown),
        more => Some(format!("{shown} and {more} more")),
    }
}
