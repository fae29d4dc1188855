//! [`LinkCalls`]: answered calls between nodes, sorted by second and by pair of nodes in bounded memory.

use std::collections::BTreeMap;
use std::path::Path;

use aggregate::links::{LinkCall, LinkStats, SAMPLES_MAX, Second};

use crate::ids::NodeId;
use cctf_sort::record::{Record, key_of, number_of_key};
use cctf_sort::sorter::Sorter;

/// Bytes of calls in memory, for each of the two orders.
const HELD_BYTES: usize = 4 << 20;
/// Maximum network times kept for one second of one link. Beyond it, every other time is dropped, which keeps the quantiles.
const SECOND_CALLS_MAX: usize = 1 << 18;
/// Bytes of a call that is sorted by second, and of a call that is sorted by pair.
const SECOND_BYTES: usize = 26;
const SAMPLE_BYTES: usize = 17;

/// A caller's and a callee's node.
pub type NodePair = (NodeId, NodeId);

/// Decides which calls of a link are its sample: the hash of the trace, and the span of the answer.
pub type Order = [u8; 16];

/// A call of a link's sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub order: Order,
    pub net_ns: i64,
    /// Bytes both ways.
    pub bytes: Option<u64>,
}

/// Calls of a link that are not in its sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FurtherCalls {
    pub calls: u64,
    /// The least of their network times, nanoseconds.
    pub least_net_ns: i64,
}

/// A part of a link's calls.
#[derive(Debug, Clone, Copy)]
pub enum OfLink {
    Sample(Sample),
    /// The last part. `None` if the sample has all calls.
    Further(Option<FurtherCalls>),
}

impl FurtherCalls {
    fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            least_net_ns: self.least_net_ns.min(other.least_net_ns),
        }
    }
}

pub struct LinkCalls {
    by_second: Sorter,
    by_link: Sorter,
    /// Calls that are only counted.
    further: BTreeMap<NodePair, FurtherCalls>,
}

impl LinkCalls {
    /// `scratch` is the folder of temporary files.
    pub fn new(scratch: &Path) -> Self {
        Self {
            by_second: Sorter::new(scratch, HELD_BYTES),
            by_link: Sorter::new(scratch, HELD_BYTES),
            further: BTreeMap::new(),
        }
    }

    /// Takes a call.
    pub fn add(&mut self, pair: NodePair, order: Order, call: &LinkCall) -> anyhow::Result<()> {
        self.add_to_second(pair, call.end_unix_ns / 1_000_000_000, call)?;
        let (net_ns, bytes) = (call.net_ns, call.bytes());
        self.add_sample(pair, &Sample { order, net_ns, bytes })
    }

    /// Takes a call for the row of its second only. The end of the call is not used.
    pub fn add_to_second(&mut self, pair: NodePair, second: u64, call: &LinkCall) -> anyhow::Result<()> {
        // The network time comes first, so that the calls of a second are sorted by it.
        let mut line = [0; SECOND_BYTES];
        let or_zero = |bytes: Option<u64>| bytes.unwrap_or(0).to_be_bytes();
        line[..8].copy_from_slice(&key_of(call.net_ns).to_be_bytes());
        line[8..16].copy_from_slice(&or_zero(call.sent));
        line[16..24].copy_from_slice(&or_zero(call.received));
        line[24] = u8::from(call.sent.is_some());
        line[25] = u8::from(call.received.is_some());
        self.by_second.push(&Record {
            key: second,
            identity: &key_of_pair(pair).to_be_bytes(),
            line: &line,
        })
    }

    /// Takes a call for the estimate of its link only.
    pub fn add_sample(&mut self, pair: NodePair, sample: &Sample) -> anyhow::Result<()> {
        let mut line = [0; SAMPLE_BYTES];
        line[..8].copy_from_slice(&key_of(sample.net_ns).to_be_bytes());
        line[8..16].copy_from_slice(&sample.bytes.unwrap_or(0).to_be_bytes());
        line[16] = u8::from(sample.bytes.is_some());
        self.by_link.push(&Record {
            key: key_of_pair(pair),
            identity: &sample.order,
            line: &line,
        })
    }

    /// Counts calls that are not in the sample of their link.
    pub fn count(&mut self, pair: NodePair, more: FurtherCalls) {
        let known = self.further.get(&pair).copied();
        self.further
            .insert(pair, known.map_or(more, |known| known.and(more)));
    }

    /// Removes the calls of seconds. Passes them to `take` by second, pair and network time.
    pub fn drain_seconds(
        &mut self,
        mut take: impl FnMut(NodePair, u64, &LinkCall) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.by_second.drain(|record| {
            let pair = pair_of_key(u64_at(record.identity, 0));
            take(pair, record.key, &decode_second(record.line))
        })
    }

    /// The same in groups: the calls of each second and pair.
    pub fn drain_grouped_seconds(
        &mut self,
        mut on_second: impl FnMut(NodePair, u64, Second) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut open: Option<(NodePair, u64, Second)> = None;
        self.drain_seconds(|pair, second, call| {
            let is_open = |(of, at, _): &(NodePair, u64, Second)| (*of, *at) == (pair, second);
            if !open.as_ref().is_some_and(is_open)
                && let Some((pair, second, calls)) = open.replace((pair, second, Second::default()))
            {
                on_second(pair, second, calls)?;
            }
            if let Some((_, _, calls)) = &mut open {
                calls.add(call, SECOND_CALLS_MAX);
            }
            Ok(())
        })?;
        match open {
            Some((pair, second, calls)) => on_second(pair, second, calls),
            None => Ok(()),
        }
    }

    /// Removes the calls of links. Passes the sample of each link to `take`, and after it the number of calls that are not in the
    /// sample. The sample has the first calls in the order of trace hashes and spans, so it depends only on ids.
    pub fn drain_samples(
        &mut self,
        mut take: impl FnMut(NodePair, OfLink) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut counted = std::mem::take(&mut self.further);
        let mut further_of = |pair: NodePair, more: Option<FurtherCalls>| {
            let counted = counted.remove(&pair);
            OfLink::Further(counted.into_iter().chain(more).reduce(FurtherCalls::and))
        };
        let mut open: Option<(NodePair, usize, Option<FurtherCalls>)> = None;
        self.by_link.drain(|record| {
            let pair = pair_of_key(record.key);
            if open.as_ref().is_none_or(|(of, ..)| *of != pair)
                && let Some((pair, _, further)) = open.replace((pair, 0, None))
            {
                take(pair, further_of(pair, further))?;
            }
            let Some((_, taken, further)) = &mut open else {
                return Ok(());
            };
            let sample = decode_sample(record);
            *taken += 1;
            if *taken <= SAMPLES_MAX {
                return take(pair, OfLink::Sample(sample));
            }
            let this = FurtherCalls {
                calls: 1,
                least_net_ns: sample.net_ns,
            };
            *further = Some(further.map_or(this, |further| further.and(this)));
            Ok(())
        })?;
        match open {
            Some((pair, _, further)) => take(pair, further_of(pair, further)),
            None => Ok(()),
        }
    }

    /// Removes the calls of links. Passes the statistics of each link to `on_link`.
    pub fn drain_links(
        &mut self,
        mut on_link: impl FnMut(NodePair, &LinkStats) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut stats = LinkStats::default();
        self.drain_samples(|pair, of_link| {
            match of_link {
                OfLink::Sample(sample) => stats.add_sample(sample.bytes, sample.net_ns),
                OfLink::Further(further) => {
                    if let Some(further) = further {
                        stats.count(further.calls, further.least_net_ns);
                    }
                    on_link(pair, &std::mem::take(&mut stats))?;
                }
            }
            Ok(())
        })
    }
}

fn decode_second(line: &[u8]) -> LinkCall {
    LinkCall {
        net_ns: number_of_key(u64_at(line, 0)),
        sent: (line[24] != 0).then(|| u64_at(line, 8)),
        received: (line[25] != 0).then(|| u64_at(line, 16)),
        sent_counts: false,
        end_unix_ns: 0,
    }
}

fn decode_sample(record: &Record<'_>) -> Sample {
    let mut order = [0; 16];
    order.copy_from_slice(&record.identity[..16]);
    Sample {
        order,
        net_ns: number_of_key(u64_at(record.line, 0)),
        bytes: (record.line[16] != 0).then(|| u64_at(record.line, 8)),
    }
}

fn key_of_pair((u, v): NodePair) -> u64 {
    u64::from(u.0) << 32 | u64::from(v.0)
}

fn pair_of_key(key: u64) -> NodePair {
    (NodeId((key >> 32) as u32), NodeId(key as u32))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_be_bytes(eight)
}
