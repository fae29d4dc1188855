//! [`Chunk`]: the rows of a block of lines. It has its own table of names, so that blocks can be read in parallel.

use std::fmt::Write as _;

use cctf_proto::cctf::{
    Call as CallRow, Flag, Invocation as InvocationRow, Milliseconds, NO_ANSWER, SpanKind, Text, is_error,
};
use plan::roots::{Clues, Evidence, Role};
use plan::shape::shape_of;
use rundir::Ending;
use rundir::chunks::ChunkLines;

use super::names::{Names, peer_of};
use super::rows::{Call, Invocation, NONE, Outcome, Rows, UNKNOWN};

/// The rows of a chunk. Names are numbers of `names`.
#[derive(Default)]
pub struct Chunk {
    pub rows: Rows,
    pub names: Names,
    text: String,
}

fn ns(time: Option<Milliseconds>) -> i64 {
    time.map_or(UNKNOWN, Milliseconds::as_ns)
}

fn size(bytes: Option<u64>) -> i64 {
    bytes
        .and_then(|bytes| i64::try_from(bytes).ok())
        .unwrap_or(UNKNOWN)
}

impl Chunk {
    /// Reads a block of lines of one file. `read` adds one line, and returns whether it is a valid row. The last line of a
    /// growing file is skipped.
    pub fn read(
        &mut self,
        lines: ChunkLines<'_>,
        is_open: bool,
        read: impl Fn(&mut Self, &[u8]) -> serde_json::Result<()>,
    ) {
        for (line, ending) in lines {
            let is_row = match ending {
                Ending::EndOfFile if is_open => continue,
                Ending::EndOfFile | Ending::TooLong => false,
                Ending::Newline => read(self, line).is_ok(),
            };
            self.rows.damaged += u64::from(!is_row);
        }
    }

    fn endpoint(&mut self, method: Option<&Text<'_>>, place: Option<&str>) -> u32 {
        self.text.clear();
        let method = method.map_or("-", |method| &**method);
        // Writing to a text never fails.
        let _ = write!(self.text, "{method} {}", place.unwrap_or("-"));
        self.names.number(&self.text)
    }

    fn outcome(&mut self, status: Option<i64>, texts: [Option<&Text<'_>>; 2]) -> Outcome {
        match (status.and_then(|status| i32::try_from(status).ok()), texts) {
            (Some(status), _) => Outcome::Status(status),
            (None, [Some(text), _] | [None, Some(text)]) => {
                let number = self.names.number(text);
                match NO_ANSWER.contains(&&**text) {
                    true => Outcome::NoAnswer(number),
                    false => Outcome::Text(number),
                }
            }
            (None, [None, None]) => Outcome::Silent,
        }
    }

    /// Adds a line of `invocations.jsonl`.
    pub fn add_invocation(&mut self, line: &[u8]) -> serde_json::Result<()> {
        let row: InvocationRow<'_> = serde_json::from_slice(line)?;
        let path = row.path.as_deref().map(shape_of);
        let endpoint = self.endpoint(row.method.as_ref(), row.route.as_deref().or(path.as_deref()));
        let queue = row.queue_time_ms.map(Milliseconds::as_ns);
        let wakeup = row.wakeup_ms.map_or(0, Milliseconds::as_ns);
        let flags = row.flags.unwrap_or_default();
        self.rows.sampled += u64::from(row.sample_weight.is_some_and(|weight| weight > 1.0));
        let invocation = Invocation {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent: row.parent_id,
            parent_span: row
                .parent_span_id
                .filter(|_| row.parent_id.is_some() || row.kind == SpanKind::Server),
            caller: row.caller_span_id,
            is_root: row.parent_id.is_none()
                && Role::of_invocation(row.caller_span_id.is_some(), flags.has(Flag::Orphan))
                    == Role::Invocation,
            is_orphan: flags.has(Flag::Orphan),
            clues: Clues::of(
                &Evidence {
                    protocol: row.protocol.as_deref(),
                    method: row.method.as_deref(),
                    path: row.path.as_deref(),
                    query: row.query.as_deref(),
                    span_kind: Some(row.kind),
                    is_background: false,
                    is_truncated: flags.has(Flag::Truncated),
                },
                row.bytes_in,
            ),
            module: self.names.number(&row.module_id),
            node: self.names.number(&row.node),
            instance: self.names.number(&row.instance_id),
            endpoint,
            outcome: self.outcome(row.status, [row.status_text.as_ref(), row.error_type.as_ref()]),
            is_failed: is_error(row.status, row.error_type.as_deref()),
            enqueue_ns: row.ts_enqueue.as_ns(),
            end_ns: row.ts_end.as_ns(),
            wait_ns: queue.map_or(UNKNOWN, |queue| queue.saturating_sub(wakeup).max(0)),
            service_ns: ns(row.service_time_ms),
            response_ns: ns(row.rt_ms),
            cpu_ns: ns(row.cpu_time_ms),
            downstream_ns: ns(row.downstream_ms),
            slot_wait_ns: ns(row.slot_wait_ms),
            wakeup_ns: wakeup,
            cpu_wait_ns: ns(row.cpu_wait_ms),
            net_ns: ns(row.net_ms),
            bytes_in: size(row.bytes_in),
            bytes_out: size(row.bytes_out),
        };
        self.rows.invocations.push(invocation);
        Ok(())
    }

    /// Adds a line of `calls.jsonl`.
    pub fn add_call(&mut self, line: &[u8]) -> serde_json::Result<()> {
        let row: CallRow<'_> = serde_json::from_slice(line)?;
        let path = row.path.as_deref().map(shape_of);
        let endpoint = self.endpoint(row.method.as_ref(), path.as_deref());
        let peer = match (&row.peer_module, &row.peer) {
            (Some(module), _) => module,
            (None, Some(peer)) => peer_of(peer),
            (None, None) => "(unknown)",
        };
        let flags = row.flags.unwrap_or_default();
        let is_below = row.ancestor_id.is_some();
        let role = (!is_below).then(|| Role::of_call(row.parent_span_id.is_some(), flags.has(Flag::Orphan)));
        let is_message = row.kind == Some(SpanKind::Producer);
        let mut original = NONE;
        if let (Some(trace), Some(span)) = (row.replay_of_trace_id, row.replay_of_span_id) {
            original = self.rows.originals.len() as u32;
            self.rows.originals.push((trace, span));
        }
        // CCTF has no negative durations, so a request with a negative lateness counts as sent on time.
        let lateness = ns(row.lateness_ms);
        self.rows.early += u64::from(lateness != UNKNOWN && lateness < 0);
        let call = Call {
            trace_id: row.trace_id,
            span_id: row.span_id,
            ancestor: row.ancestor_id,
            is_root: role == Some(Role::Call),
            parent_span: row.parent_span_id,
            outer: row.parent_span_id.filter(|_| role == Some(Role::NestedCall)),
            clues: Clues::of(
                &Evidence {
                    protocol: row.protocol.as_deref(),
                    method: row.method.as_deref(),
                    path: row.path.as_deref(),
                    query: None,
                    span_kind: row.kind,
                    // This field is set later, when the modules are known.
                    is_background: false,
                    is_truncated: flags.has(Flag::Truncated),
                },
                row.bytes_out,
            ),
            is_message,
            is_inferred: false,
            module: self.names.number(&row.module_id),
            node: self.names.number(&row.node),
            peer: self.names.number(peer),
            endpoint,
            outcome: self.outcome(row.status, [row.error_type.as_ref(), None]),
            is_failed: is_error(row.status, row.error_type.as_deref()),
            resends: row
                .resend_count
                .map_or(0, |resends| u32::try_from(resends).unwrap_or(u32::MAX)),
            start_ns: row.ts_start.as_ns(),
            end_ns: row.ts_end.as_ns(),
            lateness_ns: if lateness == UNKNOWN {
                UNKNOWN
            } else {
                lateness.max(0)
            },
            original,
        };
        self.rows.calls.push(call);
        Ok(())
    }

    /// Replaces the numbers of names in this chunk by numbers of the common table.
    pub fn rename(&mut self, numbers: &[u32], originals_before: u32) {
        let of = |number: u32| numbers.get(number as usize).copied().unwrap_or(NONE);
        let rename_outcome = |outcome: &mut Outcome| {
            if let Outcome::Text(text) | Outcome::NoAnswer(text) = outcome {
                *text = of(*text);
            }
        };
        for row in &mut self.rows.invocations {
            for number in [
                &mut row.module,
                &mut row.node,
                &mut row.instance,
                &mut row.endpoint,
            ] {
                *number = of(*number);
            }
            rename_outcome(&mut row.outcome);
        }
        for row in &mut self.rows.calls {
            for number in [&mut row.module, &mut row.node, &mut row.peer, &mut row.endpoint] {
                *number = of(*number);
            }
            rename_outcome(&mut row.outcome);
            if row.original != NONE {
                row.original += originals_before;
            }
        }
    }
}
