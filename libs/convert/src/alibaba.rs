//! Alibaba's microservice data sets of 2021 and 2022: call graph, nodes, instances and rates.
//!
//! ```text
//! call graph ─▶ rows ─▶ sort by trace ─▶ ids ─▶ calls ─▶ callers ─▶ spans ─▶ merge ─▶ lines
//! nodes, instances, rates ─▶ samples
//! ```
//!
//! The rows of a trace are anywhere in the files, so they are sorted on disk by trace. Then one trace at a time is rebuilt:
//! `calls` finds the calls behind its rows, and `callers` finds the caller of each call. The merge sorts the rows of the spans by
//! time, and `lines` writes them.
//!
//! Sources: the descriptions of both data sets in the repository alibaba/clusterdata; Huye, Liu and Sambasivan, "Systemizing and
//! Mitigating Topological Inconsistencies in Alibaba's Microservice Call-graph Datasets" (ICPE 2024), for the faults of the data.

mod callers;
mod calls;
mod ids;
mod lines;
mod names;
mod notes;
mod operation;
pub mod rows;
mod samples;
mod senders;
mod spans;
mod traces;
mod tree;

use std::path::Path;

use aggregate::maps::Map;
use anyhow::Context as _;
use cctf_merge::made::trace_hash;
use cctf_proto::cctf::TraceId;
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;

use self::names::{NONE, NameId, Names};
use self::rows::{At, CallRow, Kind, Labels, MS};
use crate::decimal::nanoseconds;
use crate::fields::Fields;
use crate::hash;
use crate::tables::{Table, Year, call, is_rpc_id};

#[cfg(test)]
pub use notes::NOTES;
pub use notes::{Note, Notes};
pub use samples::{Samples, metrics};
pub use traces::Traces;

/// Maximum size of the rows that are in memory while they are sorted, bytes. All other rows are on disk, in sorted chunks.
const SORT_BYTES: usize = 96 << 20;
/// Maximum time since the start of the recording, and maximum duration of a call: ten years.
const TIME_NS_MAX: i64 = 10 * 366 * 24 * 3600 * 1000 * MS;

/// The reason why a row cannot be used.
pub type Unusable = &'static str;

/// The rows of all call graphs until they are sorted, and the names in all tables.
pub struct CallGraph {
    names: Names,
    sorter: Sorter,
    /// Node of each instance.
    nodes: Map<NameId, NameId>,
    encoded: Vec<u8>,
}

impl CallGraph {
    /// Temporary files are in `scratch`.
    pub fn new(scratch: &Path) -> Self {
        Self {
            names: Names::new(),
            sorter: Sorter::of_groups(scratch, SORT_BYTES),
            nodes: Map::default(),
            encoded: Vec::new(),
        }
    }

    /// Takes a row. The inner error is the reason why it cannot be used.
    ///
    /// # Errors
    /// If a temporary file cannot be written, or if there are too many names.
    pub fn take(
        &mut self,
        year: Year,
        table: &Table,
        fields: &Fields,
        at: At,
    ) -> anyhow::Result<Result<(), Unusable>> {
        let get = |column| table.get(fields, column);
        let (begin_ns, rt_ns) = match times(get(call::TIMESTAMP), get(call::RT)) {
            Ok(times) => times,
            Err(reason) => return Ok(Err(reason)),
        };
        let (trace, rpc_id) = (get(call::TRACE), get(call::RPC_ID));
        if trace.is_empty() {
            return Ok(Err("the row has no trace id"));
        }
        if !is_rpc_id(rpc_id) {
            return Ok(Err("invalid rpc id: it must be numbers separated by dots"));
        }
        let row = CallRow {
            year,
            kind: Kind::of_text(get(call::RPC_TYPE)),
            begin_ns,
            rt_ns,
            labels: Labels {
                um: self.number(known(get(call::UM)))?,
                dm: self.number(known(get(call::DM)))?,
                um_instance: self.number(known(get(call::UM_INSTANCE)))?,
                dm_instance: self.number(known(get(call::DM_INSTANCE)))?,
                interface: self.number(known(get(call::INTERFACE)))?,
                rpc_type: self.number(known(get(call::RPC_TYPE)))?,
                service: self.number(known(get(call::SERVICE)))?,
            },
            at,
        };
        row.encode(rpc_id, &mut self.encoded);
        let trace_id = hash::trace_id(trace);
        let identity = trace_id.to_be_bytes();
        self.sorter.push(&Record {
            key: trace_hash(&TraceId(identity)),
            identity: &identity,
            line: &self.encoded,
        })?;
        Ok(Ok(()))
    }

    fn number(&mut self, name: &[u8]) -> anyhow::Result<NameId> {
        let number = self.names.number(name);
        number.context("the files have too many different names; convert fewer files at once")
    }

    /// Notes the node of an instance. A later table overrides an earlier one.
    ///
    /// # Errors
    /// If there are too many names.
    pub fn place(&mut self, instance: &[u8], node: &[u8]) -> anyhow::Result<()> {
        let (instance, node) = (self.number(known(instance))?, self.number(known(node))?);
        if instance != NONE && node != NONE {
            self.nodes.insert(instance, node);
        }
        Ok(())
    }

    /// Whether no row was taken.
    pub fn is_empty(&self) -> bool {
        self.sorter.is_empty()
    }
}

/// Time and response time of a row.
fn times(timestamp: &[u8], rt: &[u8]) -> Result<(i64, i64), Unusable> {
    let begin_ns = nanoseconds(timestamp, MS).ok_or("the timestamp is not a number")?;
    let rt_ns = nanoseconds(rt, MS).ok_or("the response time is not a number")?;
    if !(0..=TIME_NS_MAX).contains(&begin_ns) {
        return Err("the timestamp is negative or exceeds ten years");
    }
    if rt_ns.abs() > TIME_NS_MAX {
        return Err("the response time exceeds ten years");
    }
    Ok((begin_ns, rt_ns))
}

/// The name; empty if the text stands for a missing name.
fn known(name: &[u8]) -> &[u8] {
    match name {
        b"(?)" | b"?" | b"NAN" | b"NaN" | b"nan" | b"UNKNOWN" | b"None" => b"",
        name => name,
    }
}
