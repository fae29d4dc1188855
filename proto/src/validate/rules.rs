//! [`RULES`]: every rule of `cctf validate` with its stable id, severity and text, in one list.

use serde::Serialize;

/// How bad it is when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The files are not CCTF.
    Error,
    /// A reader should know of it.
    Warning,
}

/// One rule.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Stable name in kebab case.
    pub id: &'static str,
    /// How bad it is once the run has ended.
    pub severity: Severity,
    /// How bad it is while the run is open and its rows still arrive.
    pub while_open: Severity,
    /// What the rule demands.
    pub text: &'static str,
}

/// One line a rule: name in the code, id, severity, severity while the run is open, text.
macro_rules! rules {
    ($($name:ident = $id:literal, $severity:ident, $while_open:ident, $text:literal;)*) => {
        /// A rule, as the checks name it.
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
    FileMissing = "file-missing", Error, Warning, "All ten files of the contract are there.";
    LineNotWhole = "line-not-whole", Error, Warning, "The last line ends in a newline.";
    TooLong = "too-long", Error, Error, "No line, and no file that is replaced whole, is longer than the limit.";
    NotJson = "not-json", Error, Error, "Every line, and every .json file, is one JSON value in UTF-8.";
    Schema = "schema", Error, Error, "Every row has its fields, each of its type.";
    SixDecimals = "six-decimals", Error, Error, "Stamps and durations are written with exactly six decimal places.";
    FieldOrder = "field-order", Warning, Warning, "The fields of a row stand in the order of the contract.";
    StampPositive = "stamp-positive", Error, Error, "Stamps are later than the Unix epoch.";
    StampInMilliseconds = "stamp-in-milliseconds", Warning, Warning,
        "Stamps lie after the year 2000; one that does not may be in seconds.";

    // One invocation or call
    KindFitsFile = "kind-fits-file", Error, Error,
        "Invocations are server, consumer or internal; calls are client or producer.";
    OrderOfStamps = "order-of-stamps", Error, Error,
        "ts_enqueue <= ts_start <= ts_end, unless the row is flagged negative.";
    NegativeFlagTrue = "negative-flag-true", Error, Error, "A row flagged negative has stamps out of order.";
    DurationsExact = "durations-exact", Error, Error,
        "queue_time_ms, service_time_ms and rt_ms equal the differences of the stamps; the last two are null only where the difference is negative.";
    DurationsNotNegative = "durations-not-negative", Error, Error, "CPU times, waiting times and intervals are not negative.";
    CpuTimePlausible = "cpu-time-plausible", Warning, Warning,
        "cpu_time_ms is at most what 64 CPUs can do in the service time.";
    DownstreamWithinService = "downstream-within-service", Warning, Warning,
        "downstream_ms is at most the service time.";
    SampleWeight = "sample-weight-at-least-one", Error, Error, "A row stands for at least one request.";

    // The call graph
    DuplicateIdentity = "duplicate-identity", Warning, Warning,
        "No two rows of a file have the same trace_id, span_id and kind; a copy after the dedup window makes a second row.";
    ParentKnown = "parent-known", Error, Warning,
        "parent_id is an invocation of the same trace, in this folder or in another part of the run.";
    ParentNotSelf = "parent-not-self", Error, Error, "No invocation is its own parent.";
    ParentNoCycle = "parent-no-cycle", Error, Error, "Following parent_id never comes back to where it began.";
    ParentSpanTold = "parent-span-told", Error, Error,
        "A row with parent_id or ancestor_id has a parent_span_id too.";
    ParentIsNearest = "parent-is-nearest", Warning, Warning,
        "Where the parent span is in the folder, parent_id or ancestor_id is the nearest invocation that it leads to, unless its id is used twice.";
    OrphanConsistent = "orphan-consistent", Error, Error,
        "A row flagged orphan has a parent_span_id and neither parent_id nor ancestor_id.";
    CallAncestorKnown = "call-ancestor-known", Error, Warning,
        "ancestor_id is an invocation of the same trace, in this folder or in another part of the run.";
    CallerKnown = "caller-known", Warning, Warning, "caller_span_id is a call of the same trace.";
    NetNotNegative = "net-not-negative", Error, Error, "Network times are not negative.";
    NetEqualsDifference = "net-equals-difference", Warning, Warning,
        "net_ms equals the caller's duration minus the invocation's, unless the caller's id is used twice.";

    // Inventories
    NodeKnown = "node-known", Error, Warning, "Every node that a row names, except unknown, is in nodes.json.";
    StageConsistent = "stage-consistent", Error, Warning, "A row's stage does not contradict its node's in nodes.json.";
    ModuleKnown = "module-known", Error, Warning, "Every module that a row names is in module_inventory.json.";
    UnknownNodeInInventory = "unknown-node-in-inventory", Error, Error, "unknown is no node of nodes.json.";
    InventoryUnique = "inventory-unique", Error, Error, "No node, module or link is listed twice.";
    LinkEndpointsKnown = "link-endpoints-known", Error, Warning,
        "A link goes from a node of nodes.json to another, or to <u>.net.";
    LinkFigures = "link-figures", Error, Error, "BW_bps is null or above zero, PR_s null or not negative.";

    // Metrics and placement
    RatesNotNegative = "rates-not-negative", Error, Error, "No rate, amount, power or energy is negative.";
    CpuUtilRange = "cpu-util-range", Error, Error, "cpu_util lies between 0 and 100.";
    LinkName = "link-name", Error, Error, "link is <node>.nic or <node>-><other node>, with the row's own node.";
    InstanceStarted = "instance-started", Warning, Warning,
        "Every instance that a row names has a start event.";
    LifeOfAnInstance = "life-of-an-instance", Error, Error, "A start or stop event names its instance.";
    StopAfterStart = "stop-after-start", Warning, Warning,
        "A stop event follows a start of the same instance, unless their senders' clocks say otherwise.";

    // The run
    RunIdValid = "run-id-valid", Error, Error,
        "run_id has 1 to 128 of A-Z a-z 0-9 . _ -, begins with neither . nor -, and is no name beside the runs: latest, x-0002.";
    CctfVersion = "cctf-version", Error, Error, "cctf_version is 1.";
    TimeBase = "time-base", Error, Error, "time_base is unix_utc.";
    EndedAfterStarted = "ended-after-started", Error, Error, "ended_ts is not before started_ts.";
    CountsRows = "counts-rows", Error, Error, "Once the run has ended, counts.rows tells each .jsonl file's lines.";
    CountsOrphans = "counts-orphans", Error, Error, "Once the run has ended, counts.orphans tells the rows flagged orphan.";
    CountsSpans = "counts-spans", Error, Error,
        "counts.spans is the sum of counts.spans_by_outcome, whose rows are the lines of invocations.jsonl and calls.jsonl once the run has ended.";
    CountsLate = "counts-late", Error, Error, "Once the run has ended, counts.late tells the rows flagged late.";
}
