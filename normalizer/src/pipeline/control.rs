//! Control spans: what a service tells of its placement and the load driver of its run.

use std::sync::Arc;

use cctf_proto::cctf::{PlacementKind, bounded};
use cctf_proto::keys;
use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::Span;

use super::Pipeline;
use super::accounts::Fate;
use super::dedup::span_fingerprint;
use super::output::Output;
use super::placement::{Event, Slots as TellsSlots};
use super::runs::{Phase, Told};
use super::sources::Source;
use super::spans::row_kind;
use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// The run that counts a control span, or why it could not be followed.
type Followed = Result<Option<usize>, &'static str>;

const WITHOUT_RUN_ID: &str = "control_span_without_run_id";

impl Pipeline {
    /// Takes a span of the control scope.
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
        if !self.seen.insert(
            span_fingerprint(trace_id, span_id, row_kind(span.kind) as u8),
            self.now,
        ) {
            self.account_duplicate(slots.text(Slot::RunId), trace_id, source);
            return;
        }
        let followed = match span.name {
            keys::RUN_START_SPAN => self.start_run(span, slots, output),
            keys::RUN_END_SPAN => self.end_run(span, slots),
            keys::PLACEMENT_SPAN => self.take_placement(span, slots, source, output),
            _ => Err("unknown_control_span"),
        };
        match followed {
            Ok(run) => self.account(run, Fate::Control, 1),
            Err(reason) => self.reject_span(None, reason),
        }
    }

    fn start_run(&mut self, span: &Span<'_>, slots: &AttributeSlots<'_>, output: &mut Output) -> Followed {
        let run_id = slots.text(Slot::RunId).ok_or(WITHOUT_RUN_ID)?;
        let slot = self.open_run(run_id, true, span.start_time_unix_nano, output)?;
        let run = self.runs.at(slot);
        if !run.is_live() && run.ended_unix_ns < Some(span.start_time_unix_nano) {
            run.phase = Phase::Open;
            run.ended_unix_ns = None;
        }
        run.driven = true;
        run.told = told_of(span);
        run.started_unix_ns = span.start_time_unix_nano;
        run.last_activity = self.now;
        run.dirty = true;
        Ok(Some(slot))
    }

    fn end_run(&mut self, span: &Span<'_>, slots: &AttributeSlots<'_>) -> Followed {
        let run_id = slots.text(Slot::RunId).ok_or(WITHOUT_RUN_ID)?;
        let slot = self.runs.find(run_id).ok_or("end_of_unknown_run")?;
        let run = self.runs.at(slot);
        run.ended_unix_ns = Some(span.end_time_unix_nano);
        run.dirty = true;
        if run.phase == Phase::Open {
            run.phase = Phase::Ending(self.now);
        }
        Ok(Some(slot))
    }

    fn take_placement(
        &mut self,
        span: &Span<'_>,
        slots: &AttributeSlots<'_>,
        source: &Arc<Source>,
        output: &mut Output,
    ) -> Followed {
        let event = slots.text(Slot::PlacementEvent).and_then(PlacementKind::parse);
        let (Some(event), Some(instance)) = (event, source.instance) else {
            return Err("unusable_placement");
        };
        self.open_own_if_none(output);
        let run = self.open_run_of(source).or_else(|| self.open_run_for_all());
        let ts = span.start_time_unix_nano;
        match event {
            PlacementKind::Start => {
                let told = TellsSlots {
                    workers: slots.unsigned(Slot::Workers),
                    queue_limit: slots.unsigned(Slot::QueueLimit),
                    slot_policy: slots.text(Slot::SlotPolicy).map(str::to_owned),
                };
                self.tell_start(instance, ts, told, output);
            }
            PlacementKind::Stop => self.stop_instance(instance, ts, false, slots.text(Slot::Reason), output),
            PlacementKind::Scale | PlacementKind::Migrate => {
                let is_scale = event == PlacementKind::Scale;
                let event = Event {
                    of_instance: source.identity.has_reported_instance(),
                    replicas: slots.unsigned(Slot::Replicas).filter(|_| is_scale),
                    from_node: slots.text(Slot::FromNode).filter(|_| !is_scale),
                    reason: slots.text(Slot::Reason),
                    ..Event::new(instance, ts, event, false)
                };
                self.write_placement(&event, None, output);
            }
        }
        Ok(run)
    }

    /// The run that counts what belongs to every open one: the normalizer's own, else the first.
    fn open_run_for_all(&self) -> Option<usize> {
        let own = self.runs.find_own();
        self.runs
            .live()
            .find(|&live| own == Some(live))
            .or_else(|| self.runs.live().next())
    }
}

fn told_of(span: &Span<'_>) -> Told {
    let mut told = Told::default();
    for attribute in span.attributes().iter().map_while(Result::ok) {
        let text = || attribute.value.as_str().map(|text| bounded(text).to_owned());
        let unsigned = || {
            attribute
                .value
                .as_int()
                .and_then(|number| u64::try_from(number).ok())
        };
        match attribute.key {
            keys::RUN_RATE => told.rate = number(attribute.value),
            keys::RUN_DURATION => told.duration = text(),
            keys::RUN_SCEN => told.scen = text(),
            keys::RUN_IMG => told.img = text(),
            keys::RUN_GIT_SHA => told.git_sha = text(),
            keys::WORKERS => told.workers = unsigned(),
            keys::RUN_ENDPOINT => told.endpoint = text(),
            keys::RUN_TARGET => told.target = text(),
            keys::RUN_PAYLOAD_BYTES => told.payload_bytes = unsigned(),
            keys::RUN_REPLAY_OF => told.replay_of = text(),
            keys::RUN_SEED => told.seed = unsigned(),
            _ => {}
        }
    }
    told
}

fn number(value: AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Double(number) if number.is_finite() => Some(number),
        AnyValue::Int(number) => Some(number as f64),
        _ => None,
    }
}
