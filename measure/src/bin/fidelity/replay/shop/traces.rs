//! [`Traces`]: the rows of a run as trees of calls, without the requests of its first seconds.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, ensure};
use e2e::rows::{lines, number, text};
use serde_json::Value;

/// Requests in the first seconds find cold caches and code that is not compiled yet, and this differs between runs. The load
/// has a request every 125 ms, and this time ends between two requests. So a recording and its repetition leave out the same
/// requests.
const WARM_UP_MS: f64 = 20_060.0;
const DRIVER: &str = "cctf-load";

/// The traces of a run. The key is the trace id in the recording, also for a repetition of the recording.
pub struct Traces(pub BTreeMap<String, Trace>);

/// A request from outside, with all its invocations.
pub struct Trace {
    pub at_ms: f64,
    /// Index of the first invocation.
    pub root: usize,
    pub invocations: Vec<Invocation>,
}

pub struct Invocation {
    pub module: String,
    /// Method and path. Ids in the path are `*`.
    pub endpoint: String,
    pub response_ms: f64,
    /// Calls in the order of their starts.
    pub calls: Vec<Call>,
}

/// A call, with times in ms since the Unix epoch.
pub struct Call {
    /// Receiver, endpoint and status.
    pub what: String,
    pub start_ms: f64,
    pub end_ms: f64,
    /// Index of the invocation that it caused.
    pub callee: Option<usize>,
}

/// The rows of one trace.
#[derive(Default)]
struct Rows<'a> {
    driver: Option<&'a Value>,
    invocations: Vec<&'a Value>,
    calls: Vec<&'a Value>,
}

impl Traces {
    /// Reads a run.
    pub fn read(run: &Path) -> anyhow::Result<Self> {
        let [invocations, calls] =
            ["invocations.jsonl", "calls.jsonl"].map(|file| lines(&run.join("cctf").join(file)));
        let (invocations, calls) = (invocations?, calls?);
        let mut by_trace: HashMap<&str, Rows> = HashMap::new();
        for row in &invocations {
            let rows = by_trace.entry(required(row, "trace_id")?).or_default();
            rows.invocations.push(row);
        }
        for row in &calls {
            let rows = by_trace.entry(required(row, "trace_id")?).or_default();
            match text(row, "module_id") == Some(DRIVER) {
                true => rows.driver = Some(row),
                false => rows.calls.push(row),
            }
        }
        let mut traces = BTreeMap::new();
        for (id, rows) in by_trace {
            let place = || format!("trace {id} of {}", run.display());
            let driver = rows.driver.context("no call from outside").with_context(place)?;
            let original = text(driver, "replay_of_trace_id").unwrap_or(id);
            let trace = rows.trace(driver).with_context(place)?;
            traces.insert(original.to_owned(), trace);
        }
        let begins = traces.values().map(|trace: &Trace| trace.at_ms);
        let first_ms = begins.fold(f64::INFINITY, f64::min);
        traces.retain(|_, trace| trace.at_ms >= first_ms + WARM_UP_MS);
        ensure!(!traces.is_empty(), "{} is too short", run.display());
        Ok(Self(traces))
    }
}

impl Rows<'_> {
    fn trace(mut self, driver: &Value) -> anyhow::Result<Trace> {
        let (mut by_id, mut by_call) = (HashMap::new(), HashMap::new());
        let mut invocations = Vec::new();
        for row in &self.invocations {
            by_id.insert(required(row, "span_id")?, invocations.len());
            by_call.insert(required(row, "parent_span_id")?, invocations.len());
            invocations.push(Invocation {
                module: required(row, "module_id")?.to_owned(),
                endpoint: endpoint(row),
                response_ms: number(row, "rt_ms").context("no response time")?,
                calls: Vec::new(),
            });
        }
        let start_ms = |row: &Value| number(row, "ts_start").unwrap_or(f64::NAN);
        self.calls
            .sort_by(|one, other| start_ms(one).total_cmp(&start_ms(other)));
        for row in &self.calls {
            let caller = by_id.get(required(row, "ancestor_id")?);
            let callee = by_call.get(required(row, "span_id")?).copied();
            let to = callee.map(|callee| &invocations[callee]);
            let to = to.map_or_else(|| endpoint(row), |to| format!("{} {}", to.module, to.endpoint));
            let call = Call {
                what: format!("{to} {}", row["status"]),
                start_ms: start_ms(row),
                end_ms: number(row, "ts_end").context("no end")?,
                callee,
            };
            invocations[*caller.context("a call without caller")?]
                .calls
                .push(call);
        }
        let root = by_call.get(required(driver, "span_id")?);
        Ok(Trace {
            at_ms: start_ms(driver),
            root: *root.context("nothing answered the call from outside")?,
            invocations,
        })
    }
}

fn required<'a>(row: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    text(row, field).with_context(|| format!("no {field} in {row}"))
}

/// Method, and route or path. Each part of the path that is a parameter or contains a digit is `*`.
fn endpoint(row: &Value) -> String {
    let path = text(row, "route").or(text(row, "path")).unwrap_or("-");
    let is_id =
        |part: &str| part.starts_with([':', '{']) || part.contains(|letter: char| letter.is_ascii_digit());
    let parts = path.split('/').map(|part| if is_id(part) { "*" } else { part });
    let method = text(row, "method").unwrap_or("-");
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}
