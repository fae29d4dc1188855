//! [`Gather`]: collects the rows of traces in progress, until a trace gets no more rows.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use analyze::trace::Span;
use cctf_proto::cctf::TraceId;

/// Bounds on memory. A row takes about half a kilobyte.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of rows of one trace.
    pub rows_per_trace: usize,
    /// Maximum number of traces in progress.
    pub traces: usize,
    /// Maximum number of rows of all traces in progress.
    pub rows: usize,
}

/// About 100 MB. The largest published traces have some ten thousand rows.
pub const LIMITS: Limits = Limits {
    rows_per_trace: 100_000,
    traces: 50_000,
    rows: 200_000,
};

/// The rows of a trace.
#[derive(Debug)]
pub struct Gathered {
    pub trace_id: TraceId,
    pub spans: Vec<Span>,
    /// Rows that are not valid rows of CCTF.
    pub invalid: u64,
    /// Whether more rows may follow: the trace was removed because of a limit, or reading ended before the run did.
    pub is_incomplete: bool,
}

/// Traces in progress, sorted by the time of their last row.
#[derive(Debug)]
pub struct Gather {
    limits: Limits,
    idle: Duration,
    traces: HashMap<TraceId, Pending>,
    /// Traces by the number of their last row.
    order: BTreeMap<u64, TraceId>,
    /// Number of the next row.
    number: u64,
    /// Rows of all traces in progress, including invalid ones.
    rows: usize,
}

#[derive(Debug)]
struct Pending {
    spans: Vec<Span>,
    invalid: u64,
    number: u64,
    last: Instant,
}

impl Pending {
    fn rows(&self) -> usize {
        self.spans.len() + self.invalid as usize
    }
}

impl Gather {
    /// A trace counts as finished when it has got no new row for the time `idle`.
    pub fn new(limits: Limits, idle: Duration) -> Self {
        Self {
            limits,
            idle,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            number: 0,
            rows: 0,
        }
    }

    /// Adds a row; `None` stands for an invalid one. If a limit is exceeded, removes and returns a trace.
    pub fn add(&mut self, trace_id: TraceId, span: Option<Span>, now: Instant) -> Option<Gathered> {
        let pending = self.traces.entry(trace_id).or_insert_with(|| Pending {
            spans: Vec::new(),
            invalid: 0,
            number: self.number,
            last: now,
        });
        self.order.remove(&pending.number);
        self.order.insert(self.number, trace_id);
        (pending.number, pending.last) = (self.number, now);
        match span {
            Some(span) => pending.spans.push(span),
            None => pending.invalid += 1,
        }
        let is_full = pending.rows() >= self.limits.rows_per_trace;
        self.number += 1;
        self.rows += 1;
        if is_full {
            return self.remove(trace_id, true);
        }
        let is_over = self.traces.len() > self.limits.traces || self.rows > self.limits.rows;
        if is_over { self.pop(true) } else { None }
    }

    /// Removes a finished trace.
    pub fn finished(&mut self, now: Instant) -> Option<Gathered> {
        let (_, trace_id) = self.order.first_key_value()?;
        let last = self.traces.get(trace_id)?.last;
        let is_finished = now.saturating_duration_since(last) >= self.idle;
        if is_finished { self.pop(false) } else { None }
    }

    /// Removes the trace whose last row is oldest.
    pub fn pop(&mut self, is_incomplete: bool) -> Option<Gathered> {
        let (_, &trace_id) = self.order.first_key_value()?;
        self.remove(trace_id, is_incomplete)
    }

    /// Number of traces in progress.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    fn remove(&mut self, trace_id: TraceId, is_incomplete: bool) -> Option<Gathered> {
        let pending = self.traces.remove(&trace_id)?;
        self.order.remove(&pending.number);
        self.rows -= pending.rows();
        Some(Gathered {
            trace_id,
            spans: pending.spans,
            invalid: pending.invalid,
            is_incomplete,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cctf_proto::cctf::Call;

    fn id(number: u8) -> TraceId {
        TraceId::parse(&format!("{number:032x}")).unwrap()
    }

    fn span() -> Option<Span> {
        let call = r#"{"trace_id":"5b8efff7980381030000000000000001","span_id":"0000000000000001","parent_span_id":null,
            "ancestor_id":null,"module_id":"m","instance_id":"i","node":"n","stage":"edge","ts_start":0.000000,"ts_end":1.000000,
            "method":null,"path":null,"bytes_out":null,"bytes_in":null,"status":null,"kind":"client"}"#;
        Some(serde_json::from_str::<Call<'_>>(call).unwrap().into())
    }

    /// Id, number of rows, number of invalid rows, and whether the trace is incomplete.
    fn shown(gathered: Option<Gathered>) -> Option<(TraceId, usize, u64, bool)> {
        gathered.map(|trace| {
            (
                trace.trace_id,
                trace.spans.len(),
                trace.invalid,
                trace.is_incomplete,
            )
        })
    }

    #[test]
    fn a_trace_is_finished_when_its_last_row_is_old_enough() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gather = Gather::new(LIMITS, Duration::from_secs(5));
        for (number, row, seconds) in [(1, span(), 0), (2, span(), 1), (1, None, 3)] {
            assert!(gather.add(id(number), row, at(seconds)).is_none());
        }
        assert!(gather.finished(at(5)).is_none());
        assert_eq!(shown(gather.finished(at(6))), Some((id(2), 1, 0, false)));
        assert!(gather.finished(at(7)).is_none());
        assert_eq!(shown(gather.finished(at(8))), Some((id(1), 1, 1, false)));
        assert_eq!((gather.len(), gather.rows, gather.order.len()), (0, 0, 0));
        assert!(gather.finished(at(99)).is_none() && gather.pop(false).is_none());
    }

    #[test]
    fn each_limit_removes_a_trace_before_it_is_finished() {
        let limits = Limits {
            rows_per_trace: 3,
            traces: 2,
            rows: 4,
        };
        let now = Instant::now();
        let mut gather = Gather::new(limits, Duration::from_secs(5));
        let mut add = |number| shown(gather.add(id(number), span(), now));
        assert_eq!([add(1), add(2), add(1)], [None, None, None]);
        // More than two traces.
        assert_eq!(add(3), Some((id(2), 1, 0, true)));
        assert_eq!(add(3), None);
        // The third row of one trace.
        assert_eq!(add(3), Some((id(3), 3, 0, true)));
        assert_eq!([add(4), add(4)], [None, None]);
        assert_eq!(add(1), Some((id(1), 3, 0, true)));
        let limits = Limits { traces: 9, ..limits };
        let mut gather = Gather::new(limits, Duration::from_secs(5));
        let mut add = |number| shown(gather.add(id(number), span(), now));
        // More than four rows.
        assert_eq!([add(1), add(1), add(2), add(3)], [None; 4]);
        assert_eq!(add(3), Some((id(1), 2, 0, true)));
        assert_eq!((gather.len(), gather.rows), (2, 3));
    }
}
