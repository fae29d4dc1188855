//! [`Picks`]: selects the traces that a report shows: the slowest ones, the median one, and failed ones.

use cctf_proto::cctf::{SpanId, TraceId};

use crate::edges::collector::trace_id;
use crate::stats::figures::Time;
use crate::stats::links::call_key;
use crate::stats::row::InvocationRow;

/// Number of the slowest traces.
const SLOWEST_MAX: usize = 3;
/// Number of failed traces.
const FAILED_MAX: usize = 3;
/// Number of failed traces that are kept to select from. Some of them may also be among the slowest, or be the median.
const FAILED_KEPT_MAX: usize = FAILED_MAX + SLOWEST_MAX + 1;
/// Size of the random sample of roots from which the median is taken. With 4,096 roots, its rank is within 2.5% of the middle.
/// 300 KiB.
const SAMPLE_MAX: usize = 4096;

/// The reason for which a trace was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pick {
    Slowest,
    Median,
    Failed,
}

/// The invocation of a user's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    response: u64,
    start: i64,
}

/// A sort key. The ids make it unique.
type Rank = (i128, TraceId, SpanId);

impl Root {
    fn by_response(&self) -> Rank {
        (i128::from(self.response), self.trace_id, self.span_id)
    }

    fn slowest_first(&self) -> Rank {
        (-i128::from(self.response), self.trace_id, self.span_id)
    }

    fn earliest_first(&self) -> Rank {
        (i128::from(self.start), self.trace_id, self.span_id)
    }
}

/// The first `max` roots by `order`, at most one for each trace.
struct First {
    kept: Vec<Root>,
    max: usize,
    order: fn(&Root) -> Rank,
}

impl First {
    fn new(max: usize, order: fn(&Root) -> Rank) -> Self {
        Self {
            kept: Vec::with_capacity(max + 1),
            max,
            order,
        }
    }

    fn add(&mut self, root: &Root) {
        let rank = (self.order)(root);
        let is_full = self.kept.len() == self.max;
        if is_full && self.kept.last().is_some_and(|last| (self.order)(last) <= rank) {
            return;
        }
        let same = self.kept.iter().position(|kept| kept.trace_id == root.trace_id);
        if let Some(same) = same {
            if (self.order)(&self.kept[same]) <= rank {
                return;
            }
            self.kept.remove(same);
        }
        let place = self.kept.partition_point(|kept| (self.order)(kept) < rank);
        self.kept.insert(place, *root);
        self.kept.truncate(self.max);
    }
}

/// Candidates in a chunk or in a run.
pub struct Picks {
    slowest: First,
    failed: First,
    /// The roots with the smallest hashes. They are a random sample.
    sample: Vec<(u64, Root)>,
}

impl Default for Picks {
    fn default() -> Self {
        Self {
            slowest: First::new(SLOWEST_MAX, Root::slowest_first),
            failed: First::new(FAILED_KEPT_MAX, Root::earliest_first),
            sample: Vec::new(),
        }
    }
}

impl Picks {
    #[inline]
    pub fn add(&mut self, row: &InvocationRow<'_>) {
        if !row.parent_id.is_empty() || row.is_orphan {
            return;
        }
        let Some(response) = row.times[Time::Response as usize] else {
            return;
        };
        let (Some(trace_id), Some(span_id)) = (trace_id(row.trace_id), span_id(row.span_id)) else {
            return;
        };
        let root = Root {
            trace_id,
            span_id,
            response,
            start: row.ts_start,
        };
        self.slowest.add(&root);
        if row.is_error {
            self.failed.add(&root);
        }
        self.sample.push((call_key(row.trace_id, row.span_id), root));
        self.thin_out(2 * SAMPLE_MAX);
    }

    pub fn absorb(&mut self, other: Self) {
        other.slowest.kept.iter().for_each(|root| self.slowest.add(root));
        other.failed.kept.iter().for_each(|root| self.failed.add(root));
        self.sample.extend(other.sample);
        self.thin_out(2 * SAMPLE_MAX);
    }

    /// Reduces the sample to [`SAMPLE_MAX`] roots if it has more than `max`.
    fn thin_out(&mut self, max: usize) {
        if self.sample.len() > max {
            let key = |(hash, root): &(u64, Root)| (*hash, root.by_response());
            self.sample.select_nth_unstable_by_key(SAMPLE_MAX, key);
            self.sample.truncate(SAMPLE_MAX);
        }
    }

    /// The selected traces. A trace that qualifies several times is returned once, with the first reason.
    pub fn finish(mut self) -> Vec<(Pick, Root)> {
        self.thin_out(SAMPLE_MAX);
        self.sample.sort_unstable_by_key(|(_, root)| root.by_response());
        let slowest = self.slowest.kept.iter().map(|root| (Pick::Slowest, *root));
        let mut picked: Vec<(Pick, Root)> = slowest.collect();
        let is_new = |picked: &[(Pick, Root)], root: &Root| {
            picked.iter().all(|(_, other)| other.trace_id != root.trace_id)
        };
        let middle = self.sample.len().saturating_sub(1) / 2;
        let median = self.sample.get(middle).map(|(_, root)| *root);
        if let Some(root) = median.filter(|root| is_new(&picked, root)) {
            picked.push((Pick::Median, root));
        }
        let failed = self.failed.kept.iter().filter(|root| is_new(&picked, root));
        let failed: Vec<(Pick, Root)> = failed
            .take(FAILED_MAX)
            .map(|root| (Pick::Failed, *root))
            .collect();
        picked.extend(failed);
        picked
    }
}

fn span_id(raw: &[u8]) -> Option<SpanId> {
    let digits = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    SpanId::parse_bytes(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trace, response time and whether it failed.
    fn picks(rows: &[(u64, u64, bool)]) -> Vec<(Pick, u64)> {
        let mut found = Picks::default();
        for (number, &(trace, response, is_error)) in rows.iter().enumerate() {
            let trace_id = format!("\"{:032x}\"", u128::from(trace) + 1);
            let span_id = format!("\"{:016x}\"", number + 1);
            let mut row = InvocationRow {
                trace_id: trace_id.as_bytes(),
                span_id: span_id.as_bytes(),
                ts_start: number as i64,
                is_error,
                ..InvocationRow::default()
            };
            row.times[Time::Response as usize] = Some(response);
            // Each row is in a separate chunk.
            let mut chunk = Picks::default();
            chunk.add(&row);
            row.parent_id = b"\"00000000000000ff\"";
            row.times[Time::Response as usize] = Some(1 << 40);
            chunk.add(&row);
            found.absorb(chunk);
        }
        let number = |root: Root| u128::from_be_bytes(root.trace_id.0) as u64 - 1;
        found
            .finish()
            .into_iter()
            .map(|(pick, root)| (pick, number(root)))
            .collect()
    }

    #[test]
    fn the_slowest_the_median_and_the_first_failed_traces_are_picked() {
        use Pick::{Failed, Median, Slowest};
        let mut rows: Vec<(u64, u64, bool)> = (0..101)
            .map(|number| (number, 10 * (number * 37 % 101), false))
            .collect();
        for failed in [90, 20, 71, 50, 30] {
            rows[failed].2 = true;
        }
        let with = |response: u64| rows.iter().find(|row| row.1 == response).unwrap().0;
        assert_eq!(
            picks(&rows),
            [
                (Slowest, with(1000)),
                (Slowest, with(990)),
                (Slowest, with(980)),
                (Median, with(500)),
                // Trace 30 failed, too, but it is already among the slowest.
                (Failed, 20),
                (Failed, 50),
                (Failed, 71)
            ]
        );
    }

    #[test]
    fn each_trace_is_picked_once_and_no_root_gives_no_pick() {
        assert_eq!(picks(&[]), []);
        let one = [(7, 5, true), (7, 9, true), (8, 1, true)];
        assert_eq!(picks(&one), [(Pick::Slowest, 7), (Pick::Slowest, 8)]);
    }

    #[test]
    fn the_median_of_many_roots_is_near_the_middle() {
        let rows: Vec<(u64, u64, bool)> = (0..30_000).map(|number| (number, number, false)).collect();
        let median = picks(&rows)[3];
        assert!(
            median.0 == Pick::Median && median.1.abs_diff(15_000) < 750,
            "{median:?}"
        );
    }
}
