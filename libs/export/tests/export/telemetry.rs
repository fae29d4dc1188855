//! Random telemetry of three services in OTLP, with everything that a row can state.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Time of the first span, nanoseconds since the Unix epoch.
const BEGIN_NS: u64 = 1_760_000_000_000_000_000;
/// Kinds by their numbers in OTLP.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const CONSUMER: u64 = 5;
const TRACES: u64 = 3;
/// An id that no span has.
const MISSING: u64 = 0xdead;

/// A span, as it is drawn.
#[derive(Debug, Clone)]
pub struct Drawn {
    trace: u64,
    /// 0 for a root, 1 for a missing parent, 2 for any span, else an earlier span of the trace.
    parent: (u64, Index),
    kind: u64,
    service: usize,
    begin_ns: u64,
    duration_ns: i64,
    protocol: usize,
    status: usize,
    is_failed: bool,
    /// Which of the optional facts it has, by bits.
    facts: u32,
    /// Whether a call and its answer share one id.
    shares_id: bool,
}

pub fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let span = (
        (0..TRACES, (0..8_u64, any::<Index>()), 1..6_u64, 0..4_usize),
        (
            0..1_000_000_000_u64,
            -1_000_i64..200_000_000,
            0..PROTOCOLS.len(),
            0..6_usize,
        ),
        (any::<bool>(), any::<u32>(), prop::bool::weighted(0.3)),
    );
    let span = span.prop_map(
        |((trace, parent, kind, service), (begin_ns, duration_ns, protocol, status), rest)| {
            let (is_failed, facts, shares_id) = rest;
            Drawn {
                trace,
                parent,
                kind,
                service,
                begin_ns,
                duration_ns,
                protocol,
                status,
                is_failed,
                facts,
                shares_id,
            }
        },
    );
    prop::collection::vec(span, 1..24)
}

type Attributes = Vec<(&'static str, Value)>;

/// The attributes of each protocol, and of older names of the conventions.
const PROTOCOLS: [fn(&Drawn) -> Attributes; 12] = [
    |_| vec![],
    |drawn| {
        vec![
            ("http.request.method", json!("GET")),
            ("url.path", json!("/a?x")),
            ("http.response.status_code", status(drawn)),
        ]
    },
    |drawn| {
        vec![
            ("http.method", json!("POST")),
            ("http.target", json!("/b?y=1")),
            ("http.route", json!("/{x}")),
            ("http.status_code", status(drawn)),
        ]
    },
    |_| vec![("url.full", json!("https://h:1/c")), ("http.route", json!("/c"))],
    |_| vec![("http.status_code", json!(0))],
    |drawn| {
        vec![
            ("rpc.system", json!("grpc")),
            ("rpc.service", json!("s.S")),
            ("rpc.method", json!("M")),
            ("rpc.grpc.status_code", json!(drawn.status * 3)),
        ]
    },
    |_| {
        vec![
            ("rpc.system", json!("aws-api")),
            ("rpc.response.status_code", json!("Throttled")),
        ]
    },
    |_| {
        vec![
            ("messaging.system", json!("kafka")),
            ("messaging.destination.name", json!("orders")),
            ("messaging.operation.type", json!("process")),
        ]
    },
    |drawn| {
        vec![
            ("messaging.system", json!("sqs")),
            ("messaging.operation", json!("receive")),
            ("http.status_code", status(drawn)),
        ]
    },
    |drawn| {
        vec![
            ("db.system", json!("postgresql")),
            ("db.statement", json!("SELECT 1")),
            ("db.sql.table", json!("t")),
            ("http.status_code", status(drawn)),
        ]
    },
    |_| {
        vec![
            ("db.system.name", json!("redis")),
            ("server.address", json!("::1")),
            ("server.port", json!(6379)),
        ]
    },
    |_| vec![("faas.trigger", json!("timer")), ("faas.coldstart", json!(true))],
];

fn status(drawn: &Drawn) -> Value {
    [
        json!(200),
        json!(404),
        json!(503),
        json!("200"),
        json!("odd"),
        json!(99),
    ][drawn.status]
        .clone()
}

/// Facts that a span can have, each with its bit.
fn facts(drawn: &Drawn, begin: u64) -> Attributes {
    let all: Attributes = vec![
        ("cctf.start_time_unix_nano", json!(begin + drawn.begin_ns % 1_000)),
        ("cctf.cpu_time_ns", json!(drawn.begin_ns)),
        ("cctf.cpu_wait_ns", json!(7)),
        ("cctf.downstream_time_ns", json!(8)),
        ("cctf.wakeup_time_ns", json!(9)),
        ("cctf.slot_wait_ns", json!(10)),
        ("cctf.lateness_ns", json!(11)),
        (
            "cctf.replay_of.trace_id",
            json!("0af7651916cd43dd8448eb211c80319c"),
        ),
        ("cctf.replay_of.span_id", json!("00000000000000a2")),
        ("http.request.body.size", json!(12)),
        ("http.response.body.size", json!(13)),
        ("messaging.message.body.size", json!(14)),
        ("http.request.resend_count", json!(2)),
        ("session.id", json!("session \"1\"")),
        ("error.type", json!("Timeout")),
        ("url.query", json!("q=ä")),
        ("server.address", json!("stock")),
        ("server.port", json!(80)),
    ];
    let has = |place: &usize| drawn.facts >> place & 1 == 1;
    let chosen = all.into_iter().enumerate().filter(|(place, _)| has(place));
    chosen.map(|(_, fact)| fact).collect()
}

fn attribute((key, value): &(&str, Value)) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Bool(value) => json!({"boolValue": value}),
        text => json!({"stringValue": text}),
    };
    json!({"key": key, "value": value})
}

/// Ids of the spans: their own and that of their parent.
fn ids(drawn: &[Drawn]) -> Vec<(u64, Option<u64>)> {
    let mut ids: Vec<(u64, Option<u64>)> = Vec::new();
    for (index, span) in drawn.iter().enumerate() {
        let own = index as u64 + 1;
        let before = (0..index).filter(|&other| drawn[other].trace == span.trace);
        let before: Vec<usize> = before.collect();
        let (id, parent) = match span.parent {
            (0, _) => (own, None),
            (1, _) => (own, Some(MISSING + span.service as u64)),
            // Any span, so that some are their own ancestors.
            (2, chosen) => (own, Some(chosen.index(drawn.len()) as u64 + 1)),
            (_, _) if before.is_empty() => (own, None),
            (_, chosen) => {
                let parent = before[chosen.index(before.len())];
                let is_answer = drawn[parent].kind == CLIENT && span.kind == SERVER;
                let is_shared = |id: u64| ids.iter().filter(|(other, _)| *other == id).count() > 1;
                match ids[parent] {
                    (id, of) if is_answer && span.shares_id && !is_shared(id) => (id, of),
                    (id, _) => (own, Some(id)),
                }
            }
        };
        ids.push((id, parent));
    }
    ids
}

fn resource(service: usize) -> Value {
    let attributes: [Attributes; 4] = [
        vec![
            ("service.name", json!("front")),
            ("service.namespace", json!("shop")),
            ("service.instance.id", json!("front-1")),
            ("cctf.node_id", json!("n0")),
            ("cctf.stage", json!("edge")),
            ("process.pid", json!(7)),
            ("cctf.keep_query", json!(true)),
        ],
        vec![
            ("service.name", json!("front")),
            ("service.namespace", json!("shop")),
            ("service.instance.id", json!("front-2")),
            ("cctf.node_id", json!("n1")),
            ("cctf.keep_query", json!(true)),
        ],
        vec![
            ("service.name", json!("stock")),
            ("host.name", json!("n1")),
            ("host.arch", json!("amd64")),
            ("cctf.keep_query", json!("true")),
        ],
        vec![("cctf.keep_query", json!(true))],
    ];
    let attributes = attributes[service].iter().map(attribute);
    json!({"attributes": attributes.collect::<Vec<_>>()})
}

/// The request with these spans.
pub fn request(drawn: &[Drawn]) -> Value {
    let ids = ids(drawn);
    let spans = drawn.iter().zip(&ids).map(|(drawn, (id, parent))| {
        let begin = BEGIN_NS + drawn.begin_ns;
        let end = begin.saturating_add_signed(drawn.duration_ns);
        let mut attributes = PROTOCOLS[drawn.protocol](drawn);
        for fact in facts(drawn, begin) {
            if attributes.iter().all(|(key, _)| *key != fact.0) {
                attributes.push(fact);
            }
        }
        let has = |bit: u32| drawn.facts >> bit & 1 == 1;
        let name = ["work", "GET", "GET /{x}", "M", ""][drawn.begin_ns as usize % 5];
        let link = json!({"traceId": format!("{:032x}", 5), "spanId": format!("{:016x}", 6)});
        json!({
            "resource": resource(drawn.service),
            "scopeSpans": [{"spans": [{
                "traceId": format!("{:032x}", drawn.trace + 1),
                "spanId": format!("{id:016x}"),
                "parentSpanId": parent.map_or_else(String::new, |id| format!("{id:016x}")),
                "name": name,
                "kind": drawn.kind,
                "traceState": if has(20) { "ot=th:c" } else { "" },
                "startTimeUnixNano": begin.to_string(),
                "endTimeUnixNano": end.to_string(),
                "attributes": attributes.iter().map(attribute).collect::<Vec<_>>(),
                "links": if has(21) { json!([link]) } else { json!([]) },
                "droppedAttributesCount": u32::from(has(22)),
                "status": if drawn.is_failed { json!({"code": 2}) } else { json!({}) },
            }]}],
        })
    });
    json!({"resourceSpans": spans.collect::<Vec<_>>()})
}

/// A control span at a time in milliseconds after the first span.
pub fn control(number: u64, name: &str, ms: u64, service: usize, attributes: &Attributes) -> Value {
    let at = (BEGIN_NS + ms * 1_000_000).to_string();
    let mut attributes: Vec<Value> = attributes.iter().map(attribute).collect();
    attributes.push(attribute(&("cctf.run_id", json!("r"))));
    json!({"resourceSpans": [{
        "resource": resource(service),
        "scopeSpans": [{"scope": {"name": "cctf.control"}, "spans": [{
            "traceId": format!("{:032x}", 0xc0_u64),
            "spanId": format!("{number:016x}"),
            "name": name,
            "kind": INTERNAL,
            "startTimeUnixNano": at,
            "endTimeUnixNano": at,
            "attributes": attributes,
        }]}],
    }]})
}

/// A trace in which messages are fetched by a span without a row, and handled below it.
pub fn fetched_messages() -> Value {
    let message = |id: u64, parent: Option<u64>, operation: &str| {
        json!({
            "traceId": format!("{:032x}", 0xfe_u64),
            "spanId": format!("{id:016x}"),
            "parentSpanId": parent.map_or_else(String::new, |id| format!("{id:016x}")),
            "name": operation,
            "kind": CONSUMER,
            "startTimeUnixNano": (BEGIN_NS + id).to_string(),
            "endTimeUnixNano": (BEGIN_NS + 100 - id).to_string(),
            "attributes": [
                attribute(&("messaging.operation.type", json!(operation))),
                attribute(&("messaging.destination.name", json!("orders"))),
            ],
        })
    };
    let spans = [
        message(1, None, "receive"),
        message(2, Some(1), "process"),
        message(3, Some(1), "process"),
    ];
    json!({"resourceSpans": [{"resource": resource(0), "scopeSpans": [{"spans": spans}]}]})
}
