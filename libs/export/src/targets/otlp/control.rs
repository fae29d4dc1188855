//! [`Control`]: makes the control spans, which report the start and end of the run and its placement events. All of them form
//! one trace. [`events`]: reads the placement events that were reported.

use cctf_proto::cctf::{
    ALREADY_RUNNING, File, Milliseconds, Part, PlacementEvent, PlacementKind, RunMeta, SpanId,
};
use cctf_proto::keys;
use foldhash::HashSet;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use rundir::RunFolder;
use rundir::parts::Run;

use super::attributes::Attributes;
use super::losses::Losses;

/// The number of the first span, which reports the start of the run. It is the parent of all other control spans.
const FIRST: u64 = 1;
/// The flags of a span whose parent is in the same process.
const FLAGS: u32 = 0x100;

/// Makes the control spans of a run.
pub struct Control<'a> {
    run_id: &'a str,
    made: u64,
}

impl<'a> Control<'a> {
    pub fn new(run_id: &'a str) -> Self {
        Self { run_id, made: 0 }
    }

    /// The resource of the spans for the start and end of the run. It names no service.
    pub fn resource(&self) -> Resource {
        let mut out = Attributes::default();
        out.text(keys::RUN_ID, Some(self.run_id));
        Resource {
            attributes: out.0,
            ..Resource::default()
        }
    }

    /// The span for the start of the run, with the settings that the load driver reported.
    pub fn start(&mut self, at: Milliseconds, meta: Option<&RunMeta<'_>>) -> Span {
        let attributes = meta.map(of_run).unwrap_or_default();
        self.span(keys::RUN_START_SPAN, at, attributes.0)
    }

    /// The span for the end of the run.
    pub fn end(&mut self, at: Milliseconds) -> Span {
        self.span(keys::RUN_END_SPAN, at, Vec::new())
    }

    /// The span for a placement event.
    pub fn event(&mut self, event: &PlacementEvent<'_>) -> Span {
        self.span(keys::PLACEMENT_SPAN, event.ts, of_event(event).0)
    }

    fn span(&mut self, name: &str, at: Milliseconds, mut attributes: Vec<KeyValue>) -> Span {
        self.made += 1;
        let mut run_id = Attributes::default();
        run_id.text(keys::RUN_ID, Some(self.run_id));
        attributes.extend(run_id.0);
        let at = u64::try_from(at.as_ns()).unwrap_or_default();
        let parent = (self.made > FIRST).then(|| SpanId(FIRST.to_be_bytes()).0.to_vec());
        Span {
            trace_id: trace_id(self.run_id).to_vec(),
            span_id: self.made.to_be_bytes().to_vec(),
            parent_span_id: parent.unwrap_or_default(),
            flags: FLAGS,
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: at,
            end_time_unix_nano: at,
            attributes,
            ..Span::default()
        }
    }
}

/// The FNV-1a hash of the run id, with 128 bits. The trace id depends on nothing else, so that a receiver recognises a run that
/// is sent twice.
fn trace_id(run_id: &str) -> [u8; 16] {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    run_id.bytes().fold(BASIS, step).to_be_bytes()
}

fn of_run(meta: &RunMeta<'_>) -> Attributes {
    let mut out = Attributes::default();
    let ns = |time: Option<Milliseconds>| time.map(Milliseconds::as_ns);
    out.double(keys::RUN_RATE, meta.rate);
    out.text(keys::RUN_DURATION, meta.duration.as_deref());
    out.text(keys::RUN_SCEN, meta.scen.as_deref());
    out.text(keys::RUN_IMG, meta.img.as_deref());
    out.text(keys::RUN_GIT_SHA, meta.git_sha.as_deref());
    out.unsigned(keys::WORKERS, meta.workers);
    out.text(keys::RUN_ENDPOINT, meta.endpoint.as_deref());
    out.text(keys::RUN_TARGET, meta.target.as_deref());
    out.unsigned(keys::RUN_PAYLOAD_BYTES, meta.payload_bytes);
    out.text(keys::RUN_REPLAY_OF, meta.replay_of.as_deref());
    out.double(keys::RUN_REPLAY_SPEED, meta.replay_speed);
    out.double(keys::RUN_REPLAY_SCALE, meta.replay_scale);
    out.text(keys::RUN_REPLAY_BY, meta.replay_by.as_deref());
    out.integer(keys::RUN_REPLAY_FROM_NS, ns(meta.replay_from_ms));
    out.integer(keys::RUN_REPLAY_TO_NS, ns(meta.replay_to_ms));
    out.unsigned(keys::RUN_REPLAY_LIMIT, meta.replay_limit);
    out.text(keys::RUN_REPLAY_NETWORK, meta.replay_network.as_deref());
    out.unsigned(keys::RUN_SEED, meta.seed);
    out
}

fn of_event(event: &PlacementEvent<'_>) -> Attributes {
    let mut out = Attributes::default();
    out.text(keys::PLACEMENT_EVENT, Some(event.event.as_str()));
    if event.event == PlacementKind::Start {
        out.unsigned(keys::WORKERS, event.workers);
        out.unsigned(keys::QUEUE_LIMIT, event.queue_limit);
        out.text(keys::SLOT_POLICY, event.slot_policy.as_deref());
    }
    out.unsigned(keys::REPLICAS, event.replicas);
    out.text(keys::FROM_NODE_ID, event.from_node_id.as_deref());
    out.text(keys::REASON, event.reason.as_deref());
    out
}

/// Passes the reported events of all parts to `take`, in the order of the files, which is the order of arrival. A later part
/// begins with start events of all instances that run already. Such an event is left out if an earlier part has the start of the
/// instance.
///
/// # Errors
/// If a file cannot be read, or an error of `take`.
pub fn events(
    (run, parts): (&Run, &[Part]),
    losses: &mut Losses,
    mut take: impl FnMut(&PlacementEvent<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut alive = HashSet::default();
    for (number, part) in parts.iter().enumerate() {
        let Some(lines) = RunFolder::open(&run.folder(part))?.lines(File::PlacementEvents)? else {
            continue;
        };
        let on_line = |line: &[u8]| -> anyhow::Result<bool> {
            let Ok(event) = serde_json::from_slice::<PlacementEvent<'_>>(line) else {
                return Ok(false);
            };
            let is_again = !is_new(&event, &mut alive) && number > 0;
            if event.inferred {
                losses.inferred_events += 1;
            } else if event.ts.as_ns() <= 0 {
                losses.without_time += 1;
            } else if !is_again {
                take(&event)?;
            }
            Ok(true)
        };
        lines.try_each_row(on_line, |_| losses.damaged_lines += 1)?;
    }
    Ok(())
}

/// Returns false for a repeated start of an instance that is in `alive`, the set of instances that run. Updates `alive`.
fn is_new(event: &PlacementEvent<'_>, alive: &mut HashSet<String>) -> bool {
    let instance = event.instance_id.as_deref().unwrap_or_default();
    let app = event.app_id.as_deref().unwrap_or_default();
    let key = [app, &*event.module_id, instance, &*event.node_id].join("\0");
    match event.event {
        PlacementKind::Start => {
            let was_there = !alive.insert(key);
            !(was_there && event.reason.as_deref() == Some(ALREADY_RUNNING))
        }
        PlacementKind::Stop => {
            alive.remove(&key);
            true
        }
        PlacementKind::Scale | PlacementKind::Migrate => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_a_run_depends_on_its_id_only() {
        assert_eq!(trace_id("r"), trace_id("r"));
        assert_ne!(trace_id("r"), trace_id("s"));
        let mut control = Control::new("r");
        let spans = [1, 2, 3].map(|ms| control.end(Milliseconds::from_ns(ms)));
        assert!(spans[0].parent_span_id.is_empty());
        assert_eq!(spans[2].parent_span_id, spans[0].span_id);
        assert_ne!(spans[1].span_id, spans[2].span_id);
    }
}
