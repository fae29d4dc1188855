//! [`Links`]: `links.json`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::Context;
use cctf_proto::cctf::{File, Link, LinkSource, Row, field_index};

use crate::inventories::union::{Conflicts, Object, encode_array, number};
use crate::values::encoded;

const U: usize = field_index(Link::FIELDS, "u");
const V: usize = field_index(Link::FIELDS, "v");
const IFACE: usize = field_index(Link::FIELDS, "iface");
const SRC: usize = field_index(Link::FIELDS, "src");
const SAMPLES: usize = field_index(Link::FIELDS, "samples");

/// Links by `u`, `v` and interface.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<(String, String, String), Object>);

/// Priority of a link's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Estimated,
    Measured,
    Configured,
}

impl Links {
    /// A configured link has priority over a measured one, and a measured link over an estimate. The values of an estimate
    /// belong together. So of two estimates, the one from more calls is kept completely.
    pub fn add(&mut self, raw: &[u8], conflicts: &mut Conflicts) -> anyhow::Result<()> {
        let link = Object::read(raw, Link::FIELDS)?;
        let (u, v) = link
            .text(U)
            .zip(link.text(V))
            .context("a link has no u or no v")?;
        let name = format!("{u}->{v}");
        let key = (u, v, link.text(IFACE).unwrap_or_default());
        let Some(known) = self.0.get_mut(&key) else {
            self.0.insert(key, link);
            return Ok(());
        };
        match rank(known).cmp(&rank(&link)) {
            Ordering::Greater => {}
            Ordering::Less => *known = link,
            Ordering::Equal if rank(&link) == Rank::Estimated => {
                if (samples(&link), &link) > (samples(known), &*known) {
                    *known = link;
                }
            }
            Ordering::Equal => {
                known.unite(&link, Link::FIELDS, |field, kept, dropped| {
                    conflicts.add(File::Links.name(), &name, field, kept, dropped);
                });
            }
        }
        Ok(())
    }

    /// Replaces the estimate of a link by a recomputed one. A configured or measured link stays.
    pub fn set_estimate(&mut self, row: &Link<'_>) -> anyhow::Result<()> {
        let key = (row.u.to_string(), row.v.to_string(), String::new());
        let estimate = Object::read(&encoded(row), Link::FIELDS)?;
        let is_outranked = |known: &Object| rank(known) > rank(&estimate);
        if !self.0.get(&key).is_some_and(is_outranked) {
            self.0.insert(key, estimate);
        }
        Ok(())
    }

    pub fn encode(&self) -> Vec<u8> {
        encode_array(self.0.values(), Link::FIELDS)
    }
}

/// Number of calls from which an estimate was computed.
fn samples(link: &Object) -> u64 {
    number(link.get(SAMPLES).unwrap_or(b"0")).unwrap_or(0.0) as u64
}

fn rank(link: &Object) -> Rank {
    match link.text(SRC).as_deref().and_then(LinkSource::parse) {
        Some(LinkSource::Configured) => Rank::Configured,
        Some(LinkSource::Measured) => Rank::Measured,
        Some(LinkSource::Estimated) | None => Rank::Estimated,
    }
}
