//! [`Drivers`]: remembers the load driver of each run. A second driver with the same run id gets an error before it sends any
//! load.
//!
//! Only messages with a single control span are examined, because a driver reports its start and end in this form. If a
//! Collector is between driver and normalizer, the Collector answers the driver itself. So its batches are accepted unchecked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cctf_proto::keys;
use cctf_proto::otlp::trace::{Span, TraceRequest};

/// Maximum number of runs whose driver is remembered. Beyond it, the run that started first is forgotten.
const RUNS_MAX: usize = 1_024;
/// Maximum size of a message that is examined. A start has about 1 KiB, or somewhat more if the run has many targets.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Trace id and span id.
type SpanIds = ([u8; 16], [u8; 8]);

/// The start or end of a run, as its driver reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control {
    run_id: String,
    /// `None` if this is the end.
    start: Option<SpanIds>,
}

impl Control {
    /// The control span, if the message contains exactly one span and it is a control span. The message must be valid. Call this
    /// only for messages with one span, because it searches all bytes.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        // For other messages, the only cost is this search.
        if message.len() > MESSAGE_BYTES_MAX || memchr::memmem::find(message, b"cctf.run.").is_none() {
            return None;
        }
        let mut found = None;
        for resource_spans in TraceRequest::new(message).resource_spans() {
            for scope_spans in resource_spans.ok()?.scope_spans() {
                let scope_spans = scope_spans.ok()?;
                for span in scope_spans.spans() {
                    if found.is_some() || scope_spans.scope.name != keys::CONTROL_SCOPE {
                        return None;
                    }
                    found = Some(Self::of_span(&span.ok()?)?);
                }
            }
        }
        found
    }

    fn of_span(span: &Span<'_>) -> Option<Self> {
        let ids = (span.trace_id.try_into().ok()?, span.span_id.try_into().ok()?);
        let start = match span.name {
            keys::RUN_START_SPAN => Some(ids),
            keys::RUN_END_SPAN => None,
            _ => return None,
        };
        let mut attributes = span.attributes().iter().map_while(Result::ok);
        let run_id = attributes.find(|attribute| attribute.key == keys::RUN_ID)?;
        Some(Self {
            run_id: run_id.value.as_str()?.to_owned(),
            start,
        })
    }
}

/// The runs that have started and not ended, since this process started.
#[derive(Debug, Default)]
pub(super) struct Drivers(Mutex<Known>);

#[derive(Debug, Default)]
pub(super) struct Known {
    /// The span that started each run, and its number.
    started: HashMap<String, (SpanIds, u64)>,
    next_number: u64,
}

impl Drivers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether another driver has started the run. A driver may repeat its own start.
    pub(super) fn is_taken(&self, control: &Control) -> bool {
        let known = self.started.get(&control.run_id);
        control
            .start
            .is_some_and(|start| known.is_some_and(|(known, _)| *known != start))
    }

    /// Remembers a start. For an end, forgets the run.
    pub(super) fn note(&mut self, control: Control) {
        let Some(start) = control.start else {
            self.started.remove(&control.run_id);
            return;
        };
        self.next_number += 1;
        self.started.insert(control.run_id, (start, self.next_number));
        if self.started.len() > RUNS_MAX {
            let oldest = self.started.iter().min_by_key(|(_, (_, number))| *number);
            if let Some(oldest) = oldest.map(|(run_id, _)| run_id.clone()) {
                self.started.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(run: usize, driver: u8) -> Control {
        Control {
            run_id: format!("r{run}"),
            start: Some(([driver; 16], [driver; 8])),
        }
    }

    #[test]
    fn a_run_is_taken_until_its_driver_reports_the_end() {
        let drivers = Drivers::default();
        let mut known = drivers.lock();
        assert!(!known.is_taken(&start(1, 1)));
        known.note(start(1, 1));
        assert!(!known.is_taken(&start(1, 1)), "a repeated start");
        assert!(known.is_taken(&start(1, 2)) && !known.is_taken(&start(2, 2)));
        let end = Control {
            start: None,
            ..start(1, 2)
        };
        assert!(!known.is_taken(&end));
        known.note(end);
        assert!(!known.is_taken(&start(1, 2)));
    }

    #[test]
    fn the_number_of_known_runs_is_bounded() {
        let drivers = Drivers::default();
        let mut known = drivers.lock();
        for run in 0..=RUNS_MAX {
            known.note(start(run, 1));
        }
        assert_eq!(known.started.len(), RUNS_MAX);
        assert!(!known.is_taken(&start(0, 2)) && known.is_taken(&start(1, 2)));
    }
}
