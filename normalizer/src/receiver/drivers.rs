//! [`Drivers`]: remembers the load driver of each run. A second driver with the same run id gets an error before it sends any
//! load.
//!
//! Only messages with a single control span are examined, because a driver reports its start and end in this form. If a
//! Collector is between driver and normalizer, the Collector answers the driver itself. So its batches are accepted unchecked.
//!
//! While a driver runs, it also reports that it is alive, by a message of the control scope without spans. A driver that stops
//! doing so was killed, and its run is free again. A driver whose reports never arrive, such as one behind a Collector that drops
//! them, keeps its run until its end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cctf_proto::keys;
use cctf_proto::otlp::trace::{ResourceSpans, Span, TraceRequest};

/// Maximum number of runs whose driver is remembered. Beyond it, the run that started first is forgotten.
const RUNS_MAX: usize = 1_024;
/// Maximum size of a message that is examined. A start has about 1 KiB, or somewhat more if the run has many targets.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Nanoseconds of journal time without a report after which a driver counts as dead. This applies only if the driver has reported
/// before that it is alive. It reports every ten seconds.
const SILENCE_MAX_NS: u64 = 60_000_000_000;
/// Maximum length of an instance id that is remembered.
const INSTANCE_BYTES_MAX: usize = 256;
const INSTANCE_ID: &str = "service.instance.id";

/// Trace id and span id.
type SpanIds = ([u8; 16], [u8; 8]);

/// The start or end of a run, as its driver reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control {
    run_id: String,
    /// `None` if this is the end.
    start: Option<SpanIds>,
    /// Instance id of the driver, if it has one.
    driver: Option<String>,
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
            let resource_spans = resource_spans.ok()?;
            for scope_spans in resource_spans.scope_spans() {
                let scope_spans = scope_spans.ok()?;
                for span in scope_spans.spans() {
                    if found.is_some() || scope_spans.scope.name != keys::CONTROL_SCOPE {
                        return None;
                    }
                    let driver = driver(&resource_spans).map(str::to_owned);
                    found = Some(Self::of_span(&span.ok()?, driver)?);
                }
            }
        }
        found
    }

    fn of_span(span: &Span<'_>, driver: Option<String>) -> Option<Self> {
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
            driver,
        })
    }
}

/// The driver's instance id, if the message is the report of a driver that it is alive. The message must be valid and have no rows.
pub(super) fn alive(message: &[u8]) -> Option<&str> {
    if message.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    let mut all = TraceRequest::new(message).resource_spans();
    let resource_spans = all.next()?.ok()?;
    let mut scopes = resource_spans.scope_spans();
    let is_control = scopes.next()?.ok()?.scope.name == keys::CONTROL_SCOPE;
    let is_only = all.next().is_none() && scopes.next().is_none();
    driver(&resource_spans).filter(|_| is_control && is_only)
}

fn driver<'a>(resource_spans: &ResourceSpans<'a>) -> Option<&'a str> {
    let attributes = resource_spans.resource.attributes();
    let mut attributes = attributes.iter().map_while(Result::ok);
    let id = attributes.find(|attribute| attribute.key == INSTANCE_ID)?;
    id.value.as_str().filter(|id| id.len() <= INSTANCE_BYTES_MAX)
}

/// The runs that have started and not ended, since this process started.
#[derive(Debug, Default)]
pub(super) struct Drivers(Mutex<Known>);

#[derive(Debug, Default)]
pub(super) struct Known {
    /// By run id.
    started: HashMap<String, Claim>,
    next_number: u64,
}

/// The driver that has started a run.
#[derive(Debug)]
struct Claim {
    /// The span that started it.
    start: SpanIds,
    driver: Option<String>,
    /// Position of this start in the order of all starts.
    number: u64,
    /// When it last reported that it is alive. `None`: never.
    heard_ns: Option<u64>,
}

impl Claim {
    fn is_dead(&self, now_ns: u64) -> bool {
        let silent_ns = self.heard_ns.map(|heard_ns| now_ns.saturating_sub(heard_ns));
        silent_ns.is_some_and(|silent_ns| silent_ns > SILENCE_MAX_NS)
    }
}

impl Drivers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether another driver, which is not dead, has started the run. A driver may repeat its own start.
    pub(super) fn is_taken(&self, control: &Control, now_ns: u64) -> bool {
        let known = self.started.get(&control.run_id);
        let other = control
            .start
            .and_then(|start| known.filter(|known| known.start != start));
        other.is_some_and(|other| !other.is_dead(now_ns))
    }

    /// Records that a driver is alive.
    pub(super) fn hear(&mut self, driver: &str, now_ns: u64) {
        let is_its = |claim: &&mut Claim| claim.driver.as_deref() == Some(driver);
        for claim in self.started.values_mut().filter(is_its) {
            claim.heard_ns = Some(now_ns);
        }
    }

    /// Remembers a start. For an end, forgets the run, unless another driver has taken it over.
    pub(super) fn note(&mut self, control: Control) {
        let known = self.started.get(&control.run_id);
        let Some(start) = control.start else {
            if known.is_some_and(|known| known.driver == control.driver) {
                self.started.remove(&control.run_id);
            }
            return;
        };
        let heard_ns = known
            .filter(|known| known.start == start)
            .and_then(|known| known.heard_ns);
        self.next_number += 1;
        let claim = Claim {
            start,
            driver: control.driver,
            number: self.next_number,
            heard_ns,
        };
        self.started.insert(control.run_id, claim);
        if self.started.len() > RUNS_MAX {
            let oldest = self.started.iter().min_by_key(|(_, claim)| claim.number);
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
            driver: Some(format!("d{driver}")),
        }
    }

    fn end(run: usize, driver: u8) -> Control {
        Control {
            start: None,
            ..start(run, driver)
        }
    }

    #[test]
    fn a_run_is_taken_until_its_driver_reports_the_end() {
        let drivers = Drivers::default();
        let mut known = drivers.lock();
        assert!(!known.is_taken(&start(1, 1), 0));
        known.note(start(1, 1));
        assert!(!known.is_taken(&start(1, 1), 0), "a repeated start");
        assert!(known.is_taken(&start(1, 2), 0) && !known.is_taken(&start(2, 2), 0));
        assert!(
            known.is_taken(&start(1, 2), u64::MAX),
            "it never said that it is alive"
        );
        assert!(!known.is_taken(&end(1, 1), 0));
        known.note(end(1, 1));
        assert!(!known.is_taken(&start(1, 2), 0));
    }

    #[test]
    fn a_run_is_free_after_its_driver_has_been_silent_for_a_minute() {
        let drivers = Drivers::default();
        let mut known = drivers.lock();
        known.note(start(1, 1));
        known.hear("d1", 5);
        known.hear("d2", 1_000);
        assert!(known.is_taken(&start(1, 2), 5 + SILENCE_MAX_NS));
        // A driver repeats a start if the answer was lost. The repeated start does not show that the driver is alive.
        known.note(start(1, 1));
        assert!(!known.is_taken(&start(1, 2), 6 + SILENCE_MAX_NS));
        known.note(start(1, 2));
        // The first driver was only suspended, and continues.
        known.hear("d1", 6 + SILENCE_MAX_NS);
        known.note(end(1, 1));
        assert!(known.is_taken(&start(1, 3), u64::MAX));
    }

    #[test]
    fn the_number_of_known_runs_is_bounded() {
        let drivers = Drivers::default();
        let mut known = drivers.lock();
        for run in 0..=RUNS_MAX {
            known.note(start(run, 1));
        }
        assert_eq!(known.started.len(), RUNS_MAX);
        assert!(!known.is_taken(&start(0, 2), 0) && known.is_taken(&start(1, 2), 0));
    }
}
