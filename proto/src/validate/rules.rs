//! [`RULES`]: the list of all rules of `cctf validate`, each with its stable id, severity and text.

use serde::Serialize;

/// Meaning of a broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The files are not valid CCTF.
    Error,
    /// The files are valid, but users of the files should know about the problem.
    Warning,
}

/// One rule.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Stable name, in kebab case.
    pub id: &'static str,
    /// Severity after the run has ended.
    pub severity: Severity,
    /// Severity while the run is open and rows still arrive.
    pub while_open: Severity,
    /// The rule, as a sentence that is true for valid files.
    pub text: &'static str,
}

/// One line per rule: name in the code, id, severity, severity while the run is open, text.
macro_rules! rules {
    ($($name:ident = $id:literal, $severity:ident, $while_open:ident, $text:literal;)*) => {
        /// A rule, by its name in the code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Broken { $($name,)* }

        /// All rules.
        pub static RULES: &[Rule] = &[$(Rule {
            id: $id,
            severity: Severity::$severity,
            while_open: Severity::$while_open,
            text: $text,
        },)*];
    };
}

impl Broken {
    pub(super) fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }
}

rules! {
    // Any file
    FileMissing = "file-missing", Error, Warning, "All ten files exist.";
    LineNotWhole = "line-not-whole", Error, Warning, "The last line ends in a newline.";
    TooLong = "too-long", Error, Error, "A line has at most 8 MiB, and a .json file at most 64 MiB.";
    NotJson = "not-json", Error, Error, "Every line and every .json file is one JSON value in UTF-8.";
    Schema = "schema", Error, Error, "Every row has all required fields, and each field has its type.";
    SixDecimals = "six-decimals", Error, Error, "Timestamps and durations have exactly six decimal places.";
    FieldOrder = "field-order", Warning, Warning, "The fields of a row are in the order of docs/cctf.md.";
    TimestampPositive = "stamp-positive", Error, Error, "Timestamps are later than the Unix epoch.";
    TimestampInMilliseconds = "stamp-in-milliseconds", Warning, Warning,
        "Timestamps are later than the year 2000. An earlier one may be in seconds.";

    // One invocation or call
    KindFitsFile = "kind-fits-file", Error, Error,
        "The kind of an invocation is server, consumer or internal. The kind of a call is client or producer.";
    TimestampOrder = "order-of-stamps", Error, Error,
        "ts_enqueue <= ts_start <= ts_end. Rows with the flag 'negative' are exempt.";
    NegativeFlagTrue = "negative-flag-true", Error, Error, "In a row with the flag 'negative', the timestamps are out of order.";
    DurationsExact = "durations-exact", Error, Error,
        "queue_time_ms, service_time_ms and rt_ms equal the differences of the timestamps. service_time_ms or rt_ms is null only if the difference of its timestamps is negative.";
    DurationsNotNegative = "durations-not-negative", Error, Error, "CPU times, waiting times, lateness and intervals are not negative.";
    CpuTimePlausible = "cpu-time-plausible", Warning, Warning,
        "cpu_time_ms is at most 64 times the service time. More would mean that one request used over 64 CPUs.";
    DownstreamWithinService = "downstream-within-service", Warning, Warning,
        "downstream_ms is at most the service time.";
    ReplayOfComplete = "replay-of-complete", Error, Error,
        "replay_of_trace_id and replay_of_span_id are both present or both absent.";
    SampleWeight = "sample-weight-at-least-one", Error, Error, "sample_weight is at least 1: a row represents at least one request.";

    // The call graph
    DuplicateIdentity = "duplicate-identity", Warning, Warning,
        "No two rows of a file have the same trace_id, span_id and kind. A duplicate span that arrives after the deduplication window breaks this rule.";
    ParentKnown = "parent-known", Error, Warning,
        "parent_id refers to an invocation of the same trace, in this folder or in another part of the run.";
    ParentNotSelf = "parent-not-self", Error, Error, "No invocation is its own parent.";
    ParentNoCycle = "parent-no-cycle", Error, Warning,
        "Following parent_id never leads back to the same row. The check stops at an id that several rows have, in this folder or in another part of the run.";
    ParentSpanPresent = "parent-span-told", Error, Error,
        "A row with parent_id or ancestor_id also has parent_span_id.";
    ParentIsNearest = "parent-is-nearest", Warning, Warning,
        "If the parent span has a row in the folder, parent_id or ancestor_id is the nearest invocation at or above the parent span. Ids that several spans use are exempt.";
    OrphanConsistent = "orphan-consistent", Error, Error,
        "A row with the flag 'orphan' has parent_span_id, but neither parent_id nor ancestor_id.";
    CallAncestorKnown = "call-ancestor-known", Error, Warning,
        "ancestor_id refers to an invocation of the same trace, in this folder or in another part of the run.";
    CallerKnown = "caller-known", Warning, Warning, "caller_span_id refers to a call of the same trace.";
    NetNotNegative = "net-not-negative", Error, Error, "Network times are not negative.";
    NetEqualsDifference = "net-equals-difference", Warning, Warning,
        "net_ms equals the duration of the call minus rt_ms. Ids that several calls use are exempt.";

    OneDriver = "one-driver", Warning, Warning,
        "Load drivers drive a run one after the other: the times of their requests do not overlap.";

    // Inventories
    NodeKnown = "node-known", Error, Warning, "Every node that a row names is in nodes.json. The name 'unknown' is exempt.";
    StageConsistent = "stage-consistent", Error, Warning, "The stage of a row does not contradict the stage of its node in nodes.json.";
    ModuleKnown = "module-known", Error, Warning, "Every module that a row names is in module_inventory.json.";
    UnknownNodeInInventory = "unknown-node-in-inventory", Error, Error, "nodes.json does not contain a node with the name 'unknown'.";
    InventoryUnique = "inventory-unique", Error, Error, "No node, module or link is listed twice.";
    LinkEndpointsKnown = "link-endpoints-known", Error, Warning,
        "A link leads from a node u in nodes.json to another node there, or to <u>.net, the network of u.";
    LinkFigures = "link-figures", Error, Error, "BW_bps is null or positive. PR_s is null or not negative.";

    // Metrics and placement
    RatesNotNegative = "rates-not-negative", Error, Error, "No rate, amount, power or energy is negative.";
    CpuUtilRange = "cpu-util-range", Error, Error, "cpu_util is between 0 and 100.";
    LinkName = "link-name", Error, Error, "link is <node>.nic or <node>-><other node>, where <node> is the node of the row.";
    InstanceStarted = "instance-started", Warning, Warning,
        "Every instance that a row names has a start event.";
    LifeOfAnInstance = "life-of-an-instance", Error, Error, "A start or stop event names its instance.";
    StopAfterStart = "stop-after-start", Warning, Warning,
        "A stop event follows a start of the same instance. Differences between the senders' clocks can break this rule.";

    // The run
    RunIdValid = "run-id-valid", Error, Error,
        "run_id has 1 to 128 characters of A-Z a-z 0-9 . _ - and does not start with . or -. It is not 'latest' and does not end with the number of a part, such as -0002.";
    CctfVersion = "cctf-version", Error, Error, "cctf_version is 1.";
    TimeBase = "time-base", Error, Error, "time_base is unix_utc.";
    EndedAfterStarted = "ended-after-started", Error, Error, "ended_ts is not before started_ts.";
    CountsRows = "counts-rows", Error, Error, "After the run has ended, counts.rows equals the number of lines of each .jsonl file.";
    CountsOrphans = "counts-orphans", Error, Error, "After the run has ended, counts.orphans equals the number of rows with the flag 'orphan'.";
    CountsSpans = "counts-spans", Error, Error,
        "counts.spans is the sum of counts.spans_by_outcome. After the run has ended, counts.spans_by_outcome.rows equals the number of lines of invocations.jsonl and calls.jsonl.";
    CountsLate = "counts-late", Error, Error, "After the run has ended, counts.late equals the number of rows with the flag 'late'.";
}
