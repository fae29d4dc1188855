//! Writes calls from outside, such as those of a load driver: calls that no invocation of the run made.

use cctf_proto::cctf::{self, File, SpanKind};
use plan::shape::shape_of;
use rundir::Lines;

use super::chosen::Chosen;
use super::packets::{Category, Detail, Details, Packets, Slice};
use super::slices::{flow, hex};
use super::tracks::{Kind, Owner, Tracks};
use crate::source::Source;

/// Maximum number of calls from outside. All are in memory at once, with about 150 bytes each, because they must be sorted by
/// their start.
const CALLS_MAX: usize = 4_000_000;

/// Numbers of calls in `calls.jsonl`.
#[derive(Debug, Default)]
pub struct Found {
    /// Calls from outside, and the number of messages among them.
    pub calls: u64,
    pub messages: u64,
    /// Calls that an invocation of the run made.
    pub inner: u64,
}

/// One call from outside.
struct OutsideCall {
    start_ns: i64,
    end_ns: i64,
    owner: Owner,
    trace: [u8; 16],
    span: [u8; 8],
    name: String,
    status: Option<i64>,
    error: Option<String>,
    bytes_out: Option<i64>,
    bytes_in: Option<i64>,
}

/// Writes the calls from outside that belong to exported traces.
pub fn write(
    source: &Source<'_>,
    chosen: &Chosen,
    packets: &mut Packets,
    tracks: &mut Tracks<'_>,
) -> anyhow::Result<Found> {
    let (mut found, mut calls) = (Found::default(), Vec::new());
    for part in &source.parts {
        let Some(lines) = Lines::open(source.run.path(part, File::Calls))? else {
            continue;
        };
        let on_line = |line: &[u8]| -> anyhow::Result<bool> {
            let Ok(row) = serde_json::from_slice::<cctf::Call<'_>>(line) else {
                return Ok(false);
            };
            if chosen.has_trace(&row.trace_id.0) {
                add(&mut found, &mut calls, &row, packets, tracks)?;
            }
            Ok(true)
        };
        // Damaged lines are already counted by the plan.
        lines.try_each_row(on_line, |_| {})?;
    }
    // The sort is stable, so calls with the same start stay in the order of their rows.
    calls.sort_by_key(|call| call.start_ns);
    for call in &calls {
        slice(chosen, call, packets, tracks)?;
    }
    Ok(found)
}

fn add(
    found: &mut Found,
    calls: &mut Vec<OutsideCall>,
    row: &cctf::Call<'_>,
    packets: &mut Packets,
    tracks: &mut Tracks<'_>,
) -> anyhow::Result<()> {
    if row.ancestor_id.is_some() {
        found.inner += 1;
        return Ok(());
    }
    if calls.len() >= CALLS_MAX {
        anyhow::bail!(
            "cannot export the run: it has more than {CALLS_MAX} calls from outside; choose a part with --from and --to"
        );
    }
    found.calls += 1;
    found.messages += u64::from(row.kind == Some(SpanKind::Producer));
    let caller = format!("{} {}", &*row.module_id, &*row.instance_id);
    let path = row.path.as_deref().map(shape_of);
    let name = match (row.method.as_deref(), path) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        (Some(method), None) => method.to_owned(),
        (None, Some(path)) => path.into_owned(),
        (None, None) => "call".to_owned(),
    };
    let size = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let start_ns = row.ts_start.as_ns();
    calls.push(OutsideCall {
        start_ns,
        end_ns: row.ts_end.as_ns().max(start_ns),
        owner: tracks.outside(packets, &row.node, &caller)?,
        trace: row.trace_id.0,
        span: row.span_id.0,
        name,
        status: row.status,
        error: row.error_type.as_deref().map(str::to_owned),
        bytes_out: size(row.bytes_out),
        bytes_in: size(row.bytes_in),
    });
    Ok(())
}

fn slice(
    chosen: &Chosen,
    call: &OutsideCall,
    packets: &mut Packets,
    tracks: &mut Tracks<'_>,
) -> anyhow::Result<()> {
    let track = tracks.lane(packets, call.owner, Kind::Call, (call.start_ns, call.end_ns))?;
    let mut details = Details::default();
    details.text(Detail::TraceId, hex(&call.trace));
    details.text(Detail::SpanId, hex(&call.span));
    details.number(Detail::Status, call.status);
    if let Some(error) = &call.error {
        details.text(Detail::ErrorType, error.as_str());
    }
    details.number(Detail::BytesOut, call.bytes_out);
    details.number(Detail::BytesIn, call.bytes_in);
    let root = chosen.roots.get(&(call.trace, call.span));
    packets.begin(Slice {
        track,
        start_ns: call.start_ns,
        name: &call.name,
        category: Category::Call,
        details,
        flows: root.map(|&root| flow(root)).into_iter().collect(),
    })?;
    packets.end(track, call.end_ns)
}
