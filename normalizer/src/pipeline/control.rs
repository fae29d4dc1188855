//! Control spans: a service reports its placement with them, and the load driver reports its run.

use std::sync::Arc;

use aggregate::ids::{InstanceId, RunId};
use cctf_proto::cctf::{PlacementKind, bounded};
use cctf_proto::keys;
use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::Span;

use super::Pipeline;
use super::output::Output;
use super::placement::{Event, write_to_live_runs};
use super::shared::accounts::Fate;
use super::shared::registry::WorkerLimits;
use super::shared::run::{Phase, Reported};
use super::shared::source::Source;
use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// The run that counts a control span, or the reason why the span was rejected.
type Followed = Result<Option<RunId>, &'static str>;

const WITHOUT_RUN_ID: &str = "control_span_without_run_id";

impl Pipeline {
    /// Processes a span of the control scope.
    pub(super) fn take_control(
        &mut self,
        span: &Span<'_>,
        slots: &AttributeSlots<'_>,
        source: &Arc<Source>,
        output: &mut Output,
    ) {
        let (Ok(trace_id), Ok(span_id)) = (span.trace_id.try_into(), span.span_id.try_into()) else {
            return;
        };
        let run_id = slots.text(Slot::RunId);
        let ids = (trace_id, span_id);
        if !self.requests.is_new(span, ids, run_id, source, &mut self.shared) {
            return;
        }
        let followed = match span.name {
            keys::RUN_START_SPAN => self.start_run(span, run_id, output),
            keys::RUN_END_SPAN => self.end_run(span, run_id),
            keys::PLACEMENT_SPAN => self.take_placement(span, slots, source, output),
            _ => Err("unknown_control_span"),
        };
        self.announce_opened(output);
        match followed {
            Ok(run) => self.shared.account(run, Fate::Control, 1),
            Err(reason) => self.shared.reject_span(None, reason),
        }
    }

    fn start_run(&mut self, span: &Span<'_>, run_id: Option<&str>, output: &mut Output) -> Followed {
        let run_id = run_id.ok_or(WITHOUT_RUN_ID)?;
        let id = self
            .shared
            .open_run(run_id, true, span.start_time_unix_nano, output)?;
        let run = &mut self.shared.runs[id];
        if !run.is_live() && run.ended_unix_ns < Some(span.start_time_unix_nano) {
            run.phase = Phase::Open;
            run.ended_unix_ns = None;
        }
        run.driven = true;
        run.reported = reported_by(span);
        run.started_unix_ns = span.start_time_unix_nano;
        run.last_activity = self.shared.clock.now;
        run.dirty = true;
        Ok(Some(id))
    }

    fn end_run(&mut self, span: &Span<'_>, run_id: Option<&str>) -> Followed {
        let run_id = run_id.ok_or(WITHOUT_RUN_ID)?;
        let id = self.shared.runs.find(run_id).ok_or("end_of_unknown_run")?;
        let run = &mut self.shared.runs[id];
        run.ended_unix_ns = Some(span.end_time_unix_nano);
        // The driver reports this at the end only if the replay was interrupted, so it ended earlier than planned.
        if let Some(to_ns) = reported_by(span).replay_to_ns {
            run.reported.replay_to_ns = Some(to_ns);
        }
        run.dirty = true;
        if run.phase == Phase::Open {
            run.phase = Phase::Ending(self.shared.clock.now);
        }
        Ok(Some(id))
    }

    fn take_placement(
        &mut self,
        span: &Span<'_>,
        slots: &AttributeSlots<'_>,
        source: &Arc<Source>,
        output: &mut Output,
    ) -> Followed {
        let kind = slots.text(Slot::PlacementEvent).and_then(PlacementKind::parse);
        let (Some(kind), Some(instance)) = (kind, source.instance) else {
            return Err("unusable_placement");
        };
        self.shared.open_own_if_none(output);
        self.announce_opened(output);
        let run = self
            .shared
            .open_run_of(source)
            .or_else(|| self.open_run_for_all());
        let ts = span.start_time_unix_nano;
        let (placement, shared) = (&mut self.placement, &mut self.shared);
        match kind {
            PlacementKind::Start => {
                let limits = WorkerLimits {
                    workers: slots.unsigned(Slot::Workers),
                    queue_limit: slots.unsigned(Slot::QueueLimit),
                    slot_policy: slots.text(Slot::SlotPolicy).map(str::to_owned),
                };
                let reason = slots.text(Slot::Reason);
                placement.start_reported(instance, ts, limits, reason, shared, output);
            }
            PlacementKind::Stop => {
                placement.stop_reported(instance, ts, slots.text(Slot::Reason), shared, output);
            }
            PlacementKind::Scale | PlacementKind::Migrate => {
                let event = change(instance, ts, kind, slots, source);
                write_to_live_runs(&event, shared, output);
            }
        }
        Ok(run)
    }

    /// The run that counts data that belongs to every open run: the normalizer's own run, or else the first open one.
    fn open_run_for_all(&self) -> Option<RunId> {
        let runs = &self.shared.runs;
        let own = runs.find_own().filter(|&own| runs[own].is_live());
        own.or_else(|| runs.live().next())
    }
}

/// A reported scale event or migration.
fn change<'a>(
    instance: InstanceId,
    ts: u64,
    kind: PlacementKind,
    slots: &AttributeSlots<'a>,
    source: &Source,
) -> Event<'a> {
    let is_scale = kind == PlacementKind::Scale;
    Event {
        of_instance: source.identity.has_reported_instance(),
        replicas: slots.unsigned(Slot::Replicas).filter(|_| is_scale),
        from_node: slots.text(Slot::FromNode).filter(|_| !is_scale),
        reason: slots.text(Slot::Reason),
        ..Event::new(instance, ts, kind, false)
    }
}

fn reported_by(span: &Span<'_>) -> Reported {
    let mut reported = Reported::default();
    for attribute in span.attributes().iter().map_while(Result::ok) {
        let text = || attribute.value.as_str().map(|text| bounded(text).to_owned());
        let unsigned = || {
            attribute
                .value
                .as_int()
                .and_then(|number| u64::try_from(number).ok())
        };
        let positive = || number(attribute.value).filter(|&factor| factor > 0.0);
        match attribute.key {
            keys::RUN_RATE => reported.rate = number(attribute.value),
            keys::RUN_DURATION => reported.duration = text(),
            keys::RUN_SCEN => reported.scen = text(),
            keys::RUN_IMG => reported.img = text(),
            keys::RUN_GIT_SHA => reported.git_sha = text(),
            keys::WORKERS => reported.workers = unsigned(),
            keys::RUN_ENDPOINT => reported.endpoint = text(),
            keys::RUN_TARGET => reported.target = text(),
            keys::RUN_PAYLOAD_BYTES => reported.payload_bytes = unsigned(),
            keys::RUN_REPLAY_OF => reported.replay_of = text(),
            keys::RUN_REPLAY_SPEED => reported.replay_speed = positive(),
            keys::RUN_REPLAY_SCALE => reported.replay_scale = positive(),
            keys::RUN_REPLAY_BY => reported.replay_by = text(),
            keys::RUN_REPLAY_FROM_NS => reported.replay_from_ns = unsigned(),
            keys::RUN_REPLAY_TO_NS => reported.replay_to_ns = unsigned(),
            keys::RUN_REPLAY_LIMIT => reported.replay_limit = unsigned(),
            keys::RUN_REPLAY_NETWORK => reported.replay_network = text(),
            keys::RUN_SEED => reported.seed = unsigned(),
            _ => {}
        }
    }
    reported
}

fn number(value: AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Double(number) if number.is_finite() => Some(number),
        AnyValue::Int(number) => Some(number as f64),
        _ => None,
    }
}
