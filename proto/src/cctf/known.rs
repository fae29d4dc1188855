//! [`Known`]: texts that an anonymised run keeps. They come from CCTF, a standard or a tool, so they reveal nothing about the
//! run.

/// A set of texts. If a field has such a set, texts in the set are kept.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Description of the set, for the tables.
    pub doc: &'static str,
    pub holds: fn(&str) -> bool,
}

/// Names of errors without an answer, from the load driver (timeout, connect, closed, io, not_sent), gRPC, Java and Node.js.
/// Such errors depend on the load of the moment; all other errors are facts about the answer.
pub const NO_ANSWER: [&str; 13] = [
    "timeout",
    "connect",
    "closed",
    "io",
    "not_sent",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "java.net.ConnectException",
    "java.net.SocketTimeoutException",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
];

/// Further errors: the conventions' value for an error of unknown class, and errors of the load driver.
const ERRORS: [&str; 3] = ["_OTHER", "bad_response", "interrupted"];

/// Names of the gRPC status codes 0 to 16 (gRPC, "Status codes and their use in gRPC").
pub const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Methods of HTTP, and the conventions' value for any other one.
const METHODS: [&str; 11] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "QUERY", "CONNECT", "_OTHER",
];

/// Operations of databases and brokers, and triggers of serverless functions, in lower case.
const OPERATIONS: [&str; 37] = [
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "upsert",
    "call",
    "create",
    "alter",
    "drop",
    "begin",
    "commit",
    "rollback",
    "find",
    "findone",
    "aggregate",
    "count",
    "distinct",
    "get",
    "set",
    "mget",
    "mset",
    "del",
    "incr",
    "expire",
    "hget",
    "hset",
    "publish",
    "send",
    "receive",
    "process",
    "settle",
    "deliver",
    "ack",
    "http",
    "pubsub",
    "timer",
];

/// The names of the `.jsonl` files. A test compares this list with the contract.
const FILES: [&str; 6] = [
    "invocations.jsonl",
    "calls.jsonl",
    "host_metrics.jsonl",
    "link_metrics.jsonl",
    "placement_events.jsonl",
    "system_stats.jsonl",
];

const REASONS: [&str; 13] = [
    "trace_id_length",
    "span_id_length",
    "trace_id_zero",
    "span_id_zero",
    "parent_span_id_length",
    "missing_time",
    "time_out_of_range",
    "invalid_run_id",
    "run_id_differs_in_case",
    "out_of_order",
    "malformed",
    "unreadable_settings",
    "unsupported",
];

/// Attributes of metric points that select a part of a figure, according to the semantic conventions.
const ATTRIBUTES: [&str; 14] = [
    "cpu.mode",
    "state",
    "direction",
    "disk.io.direction",
    "network.io.direction",
    "system.memory.state",
    "system.cpu.state",
    "process.cpu.state",
    "cpu",
    "type",
    "http.request.method",
    "http.response.status_code",
    "rpc.system",
    "messaging.system",
];

const fn known(doc: &'static str, holds: fn(&str) -> bool) -> Known {
    Known { doc, holds }
}

/// Maximum length of a text that a pattern accepts, bytes.
const PATTERN_BYTES_MAX: usize = 24;

fn consists_of(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    (1..=PATTERN_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_number(text: &str) -> bool {
    text.len() == 3 && consists_of(text, |byte| byte.is_ascii_digit())
}

pub(crate) const METHOD: Known = known(
    "methods of HTTP; operations of SQL, of brokers and of common databases; triggers of functions",
    |text| {
        METHODS.contains(&text)
            || OPERATIONS
                .iter()
                .any(|operation| operation.eq_ignore_ascii_case(text))
    },
);

pub(crate) const PROTOCOL: Known = known("the protocols of the contract", |text| {
    ["http", "rpc", "messaging", "db", "faas"].contains(&text)
});

pub(crate) const ERROR: Known = known(
    "the errors of the load driver, of gRPC and of connections; statuses of HTTP",
    |text| {
        ERRORS.contains(&text) || NO_ANSWER.contains(&text) || GRPC_CODES.contains(&text) || is_number(text)
    },
);

pub(crate) const STATUS: Known = known("the codes of gRPC", |text| GRPC_CODES.contains(&text));

pub(crate) const SLOT_POLICY: Known = known("held and released", |text| ["held", "released"].contains(&text));

pub(crate) const LANGUAGE: Known = known("the languages of OpenTelemetry's SDKs", |text| {
    [
        "cpp", "dotnet", "erlang", "go", "java", "nodejs", "php", "python", "ruby", "rust", "swift", "webjs",
    ]
    .contains(&text)
});

pub(crate) const ARCH: Known = known("the instruction sets of the semantic conventions", |text| {
    [
        "amd64", "arm32", "arm64", "ia64", "ppc32", "ppc64", "s390x", "x86", "x86_64", "aarch64",
    ]
    .contains(&text)
});

pub(crate) const OS: Known = known("the operating systems of the semantic conventions", |text| {
    [
        "windows",
        "linux",
        "darwin",
        "macos",
        "freebsd",
        "netbsd",
        "openbsd",
        "dragonflybsd",
        "hpux",
        "aix",
        "solaris",
        "z_os",
    ]
    .contains(&text)
});

pub(crate) const DURATION: Known = known("durations such as 1m30s", |text| {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && consists_of(text, |byte| byte.is_ascii_digit() || b".hmsnu".contains(&byte))
});

pub(crate) const VERSION: Known = known("digits and dots", |text| {
    consists_of(text, |byte| byte.is_ascii_digit() || byte == b'.')
});

pub(crate) const TIME_BASE: Known = known("unix_utc", |text| text == "unix_utc");

pub(crate) const REPLAY_BY: Known = known("thin, overlap and squeeze", |text| {
    ["thin", "overlap", "squeeze"].contains(&text)
});

pub(crate) const REPLAY_NETWORK: Known = known("loopback", |text| text == "loopback");

/// Formats of recorded telemetry that `cctf convert` reads.
const CONVERTED_FORMATS: [&str; 6] = [
    "otlp",
    "jaeger",
    "zipkin",
    "alibaba2021",
    "alibaba2022",
    "azure2021",
];

pub(crate) const CONVERTED_FROM: Known = known("the formats of cctf convert, separated by commas", |text| {
    text.split(',').all(|format| CONVERTED_FORMATS.contains(&format))
});

/// Names of the assumptions that `cctf convert` makes where the telemetry does not state a fact.
pub const CONVERSION_ASSUMPTIONS: [&str; 12] = [
    "caller_inferred",
    "caller_unknown",
    "clock_adjusted",
    "entry_inferred",
    "invocation_inferred",
    "kind_not_recorded",
    "module_inferred",
    "row_repeated",
    "service_not_recorded",
    "side_inferred",
    "time_origin_assumed",
    "trace_id_padded",
];

pub(crate) const ASSUMPTION: Known = known("the assumptions of cctf convert", |text| {
    CONVERSION_ASSUMPTIONS.contains(&text)
});

/// The reason of a start event at the beginning of a run or part: the instance was already alive.
pub const ALREADY_RUNNING: &str = "already_running";

/// Readers must distinguish [`ALREADY_RUNNING`] from the reason of a real start.
pub(crate) const PLACEMENT_REASON: Known = known(ALREADY_RUNNING, |text| text == ALREADY_RUNNING);

pub(crate) const FILE_NAME: Known = known("the names of the files", |text| FILES.contains(&text));

pub(crate) const REASON: Known = known("the normalizer's reasons", |text| REASONS.contains(&text));

/// Known keys of attributes are kept; their values are replaced.
pub const ATTRIBUTE: Known = known("common keys of the semantic conventions", |text| {
    ATTRIBUTES.contains(&text)
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cctf::{File, Shape};

    #[test]
    fn all_files_of_lines_are_known() {
        let lines = File::ALL.iter().filter(|file| file.shape() == Shape::Lines);
        assert_eq!(lines.map(|file| file.name()).collect::<Vec<_>>(), FILES);
    }

    #[test]
    fn texts_of_the_contract_are_known_and_names_are_not() {
        for (known, kept, replaced) in [
            (METHOD, "GET", "GetCart"),
            (METHOD, "SELECT", "SELECT secret"),
            (ERROR, "503", "5033"),
            (ERROR, "timeout", "com.acme.Timeout"),
            (STATUS, "NOT_FOUND", "not found: alice"),
            (DURATION, "1m30s", "summers"),
            (DURATION, "20s", ""),
            (VERSION, "0.1.0", "0.1.0-acme"),
            (FILE_NAME, "calls.jsonl", "calls.txt"),
            (CONVERTED_FROM, "jaeger,otlp", "jaeger,shop"),
            (ASSUMPTION, "clock_adjusted", "shop"),
        ] {
            assert!((known.holds)(kept), "{kept}");
            assert!(!(known.holds)(replaced), "{replaced}");
        }
    }
}
