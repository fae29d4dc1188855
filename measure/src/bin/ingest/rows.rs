//! Checks that the rows on disk are the expected ones: each is there once, with its caller, and there are no others.

use anyhow::{Context, ensure};
use cctf_proto::cctf::File;
use serde::Deserialize;

use super::ids::{place_of, span_id, trace_of};
use super::trace::{KINDS, ROWS_A_TRACE, SPANS_A_TRACE, invocation_above};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// The fields of a row that can be computed from its trace. Tests of the normalizer check the other fields.
#[derive(Deserialize)]
struct Row<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    parent_id: Option<&'a str>,
    ancestor_id: Option<&'a str>,
    caller_span_id: Option<&'a str>,
    #[serde(default)]
    flags: Vec<String>,
}

/// The rows that were read so far.
#[derive(Default)]
pub struct Rows {
    /// A byte for each trace, with a bit for each span.
    seen: Vec<u8>,
    count: u64,
}

impl Rows {
    /// Checks a line. Returns its trace and the position of its span.
    pub fn take(&mut self, file: File, line: &[u8]) -> anyhow::Result<(u64, usize)> {
        let text = || String::from_utf8_lossy(line).into_owned();
        let row: Row<'_> = serde_json::from_slice(line).with_context(text)?;
        let (trace, place) = place_of(row.span_id).with_context(text)?;
        ensure!(
            trace_of(row.trace_id) == Some(trace),
            "span of another trace: {}",
            text()
        );
        let is_file = match KINDS[place] {
            SpanKind::Server => file == File::Invocations,
            SpanKind::Client => file == File::Calls,
            _ => false,
        };
        ensure!(is_file, "not a row of {}: {}", file.name(), text());
        let above = invocation_above(place);
        let (found_above, caller) = match file {
            File::Invocations => (row.parent_id, place.checked_sub(1)),
            _ => (row.ancestor_id, None),
        };
        for (found, expected) in [(found_above, above), (row.caller_span_id, caller)] {
            let found = found.map(place_of);
            let expected = expected.map(|place| Some((trace, place)));
            ensure!(
                found == expected,
                "another caller than place {expected:?}: {}",
                text()
            );
        }
        ensure!(row.flags.is_empty(), "flags: {}", text());
        ensure!(self.is_new(trace, place)?, "duplicate: {}", text());
        self.count += 1;
        Ok((trace, place))
    }

    /// Marks a span as read. Returns false if it was read before.
    pub fn is_new(&mut self, trace: u64, place: usize) -> anyhow::Result<bool> {
        let at = usize::try_from(trace).ok().filter(|&at| at < TRACES_MAX);
        let at = at.with_context(|| format!("trace {trace} was never sent"))?;
        if at >= self.seen.len() {
            self.seen.resize(at + 1, 0);
        }
        let bit = 1_u8 << place;
        let is_new = self.seen[at] & bit == 0;
        self.seen[at] |= bit;
        Ok(is_new)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Checks that all rows of `traces` traces were read.
    pub fn ensure_whole(&self, traces: u64) -> anyhow::Result<()> {
        let places = (0..SPANS_A_TRACE).filter(|&place| KINDS[place] != SpanKind::Internal);
        let all = places.fold(0, |bits, place| bits | 1_u8 << place);
        self.ensure_each(traces, all)?;
        ensure!(
            self.count == traces * ROWS_A_TRACE,
            "{} rows of {traces} traces",
            self.count
        );
        Ok(())
    }

    /// Checks that `traces` traces have exactly the spans in `places`, and that there is no other trace.
    pub fn ensure_each(&self, traces: u64, places: u8) -> anyhow::Result<()> {
        ensure!(
            self.seen.len() as u64 == traces,
            "{} traces, not {traces}",
            self.seen.len()
        );
        let lacking = self.seen.iter().position(|&seen| seen != places);
        let lacking = lacking.map(|trace| (trace, span_id(trace as u64, 0), self.seen[trace]));
        ensure!(
            lacking.is_none(),
            "trace, id of its first span, and what is there of it: {lacking:x?}"
        );
        Ok(())
    }
}

/// Maximum number of traces. No benchmark sends more. Each takes one byte.
const TRACES_MAX: usize = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::trace_id;

    fn hex(id: &[u8]) -> String {
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn invocation(trace: u64, place: usize, parent: usize, caller: usize) -> String {
        let [own, parent, caller] = [place, parent, caller].map(|place| hex(&span_id(trace, place)));
        let trace_id = hex(&trace_id(trace));
        format!(
            r#"{{"trace_id":"{trace_id}","span_id":"{own}","parent_id":"{parent}","node":"n","caller_span_id":"{caller}"}}"#
        )
    }

    #[test]
    fn a_row_with_its_caller_is_taken_once_and_none_with_another() {
        let mut rows = Rows::default();
        let good = invocation(5, 7, 4, 6);
        assert_eq!(rows.take(File::Invocations, good.as_bytes()).unwrap(), (5, 7));
        assert!(rows.take(File::Invocations, good.as_bytes()).is_err(), "twice");
        assert!(rows.take(File::Calls, invocation(6, 7, 4, 6).as_bytes()).is_err());
        assert!(
            rows.take(File::Invocations, invocation(6, 7, 1, 6).as_bytes())
                .is_err()
        );
        assert!(
            rows.take(File::Invocations, invocation(6, 7, 4, 3).as_bytes())
                .is_err()
        );
        assert!(rows.ensure_whole(6).is_err(), "rows are missing");
    }
}
