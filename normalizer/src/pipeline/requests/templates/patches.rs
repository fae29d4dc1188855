//! [`Patch`]: a value in a row that differs from span to span. [`Patches`] decides which fields of a row have such values.

use cctf_proto::cctf::{Field, Presence};

use super::reading::{QUERIES, Reading, SIZES, is_peer_varying};
use super::slot_set::SlotSet;
use crate::mapping::conventions::Slot;

/// A value that is written behind a part of the text.
#[derive(Debug, Clone, Copy)]
pub enum Patch {
    End,
    /// The join's fields are added here.
    First,
    Second,
    TraceId,
    SpanId,
    ParentSpanId,
    Enqueued,
    Started,
    Ended,
    Queue,
    Service,
    Residence,
    Method,
    Path,
    Route,
    SessionId,
    BytesIn,
    BytesOut,
    Status,
    /// A time in a slot.
    Time(Slot),
    // Fields that are absent without a value.
    OptionalTime(Slot, &'static Field),
    Query,
    Peer,
    ResendCount,
    OriginalTrace,
    OriginalSpan,
}

/// Decides which fields are patches.
pub struct Patches<'r> {
    pub reading: &'r Reading,
    pub varying: SlotSet,
    pub is_call: bool,
    pub has_parent: bool,
    pub has_start: bool,
    pub is_query_kept: bool,
}

impl Patches<'_> {
    pub fn is_method(&self) -> bool {
        self.reading.is_http && self.varying.has(Slot::HttpMethod)
    }

    pub fn is_route(&self) -> bool {
        self.reading.is_http && self.varying.has(Slot::HttpRoute)
    }

    pub fn is_path(&self) -> bool {
        self.reading.path.is_some_and(|slot| self.varying.has(slot))
    }

    /// The text without the values of the patches, and its parts.
    pub fn split(
        &self,
        fields: &'static [Field],
        text: &[u8],
        ends: &[usize],
    ) -> (Vec<u8>, Vec<(usize, Patch)>) {
        let (mut same, mut parts, mut begin, mut from) = (Vec::new(), Vec::new(), 0, 0);
        for (field, &end) in fields.iter().zip(ends) {
            let of_field = &text[begin..end];
            begin = end;
            let Some(patch) = self.patch(field) else {
                same.extend_from_slice(of_field);
                continue;
            };
            let is_derived = matches!(patch, Patch::First | Patch::Second | Patch::End);
            // Optional fields that have a value in every row of the template.
            let is_always = matches!(patch, Patch::Route | Patch::SessionId);
            if (!is_derived && field.presence != Presence::Optional) || is_always {
                // A brace or a comma, and the name in quotes with a colon.
                same.extend_from_slice(&of_field[..field.name.len() + 4]);
            }
            parts.push((same.len() - from, patch));
            from = same.len();
        }
        (same, parts)
    }

    fn patch(&self, field: &'static Field) -> Option<Patch> {
        let varies = |slot, patch| self.varying.has(slot).then_some(patch);
        let time = |slot| varies(slot, Patch::Time(slot));
        let optional_time = |slot| varies(slot, Patch::OptionalTime(slot, field));
        let any = |slots: &[Slot], patch| self.varying.has_any(slots).then_some(patch);
        match field.name {
            "trace_id" => Some(Patch::TraceId),
            "span_id" => Some(Patch::SpanId),
            "parent_span_id" => self.has_parent.then_some(Patch::ParentSpanId),
            "parent_id" | "ancestor_id" => Some(Patch::First),
            "caller_span_id" | "peer_module" => Some(Patch::Second),
            "flags" => Some(Patch::End),
            "ts_enqueue" => Some(Patch::Enqueued),
            // Only an invocation has a start of processing in an attribute. A call starts with its span.
            "ts_start" if self.is_call => Some(Patch::Enqueued),
            "ts_start" => Some(Patch::Started),
            "ts_end" => Some(Patch::Ended),
            "queue_time_ms" => self.has_start.then_some(Patch::Queue),
            "service_time_ms" => Some(Patch::Service),
            "rt_ms" => Some(Patch::Residence),
            "method" => self.is_method().then_some(Patch::Method),
            "path" => self.is_path().then_some(Patch::Path),
            "route" => self.is_route().then_some(Patch::Route),
            "session_id" => varies(Slot::SessionId, Patch::SessionId),
            "bytes_in" => any(&SIZES, Patch::BytesIn),
            "bytes_out" => any(&SIZES, Patch::BytesOut),
            "status" => varies(Slot::HttpStatus, Patch::Status),
            "cpu_time_ms" => time(Slot::CpuTime),
            "downstream_ms" => time(Slot::DownstreamTime),
            "cpu_wait_ms" => optional_time(Slot::CpuWait),
            "wakeup_ms" => optional_time(Slot::WakeupTime),
            "slot_wait_ms" => optional_time(Slot::SlotWait),
            "lateness_ms" => optional_time(Slot::Lateness),
            "query" if self.is_query_kept => any(&QUERIES, Patch::Query),
            "peer" => is_peer_varying(self.varying).then_some(Patch::Peer),
            "resend_count" => varies(Slot::ResendCount, Patch::ResendCount),
            "replay_of_trace_id" => any(&[Slot::ReplayOfTrace, Slot::ReplayOfSpan], Patch::OriginalTrace),
            "replay_of_span_id" => any(&[Slot::ReplayOfTrace, Slot::ReplayOfSpan], Patch::OriginalSpan),
            _ => None,
        }
    }
}
