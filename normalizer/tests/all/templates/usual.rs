//! Attributes of spans as libraries send them.

use cctf_proto::keys;

/// Attributes of usual spans: the kind, the name, and texts and integers by key.
pub type Usual = (
    i32,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

pub const USUAL: &[Usual] = &[
    (
        2,
        "GET /a",
        &[
            ("http.request.method", "GET"),
            ("url.path", "/a/1"),
            ("http.route", "/a/{id}"),
            ("url.scheme", "http"),
            ("url.query", "?x=1"),
            ("server.address", "shop"),
            ("user_agent.original", "curl"),
            ("session.id", "s1"),
        ],
        &[
            "server.port",
            "http.response.status_code",
            "http.request.body.size",
            "http.response.body.size",
            keys::START_TIME_UNIX_NANO,
            keys::CPU_TIME_NS,
            keys::CPU_WAIT_NS,
            keys::WAKEUP_TIME_NS,
            keys::SLOT_WAIT_NS,
            keys::DOWNSTREAM_TIME_NS,
        ],
    ),
    (
        3,
        "POST",
        &[
            ("http.request.method", "POST"),
            ("url.full", "http://10.0.0.1:80/b/2?y=2"),
            ("server.address", "10.0.0.1"),
            ("network.peer.address", "10.0.0.1"),
            ("cctf.replay_of_trace_id", "0af7651916cd43dd8448eb211c80319c"),
            ("cctf.replay_of_span_id", "00000000000000a2"),
        ],
        &[
            "server.port",
            "http.response.status_code",
            "http.request.body.size",
            keys::LATENESS_NS,
        ],
    ),
    (
        3,
        "POST",
        &[("http.method", "POST"), ("http.url", "http://h/c")],
        &["http.status_code", "http.resend_count"],
    ),
    (
        2,
        "GET",
        &[("http.method", "GET"), ("http.target", "/d?z=3")],
        &["http.status_code"],
    ),
    (
        3,
        "SELECT shop",
        &[
            ("db.system", "postgresql"),
            ("db.operation", "SELECT"),
            ("db.statement", "SELECT * FROM t WHERE id = 1"),
            ("db.name", "shop"),
            ("net.peer.name", "db"),
        ],
        &["net.peer.port"],
    ),
    (
        3,
        "redis",
        &[("db.system", "redis"), ("db.statement", "GET k1")],
        &[],
    ),
    (
        2,
        "p.S/M",
        &[
            ("rpc.system", "grpc"),
            ("rpc.service", "p.S"),
            ("rpc.method", "M"),
            ("url.path", "/p.S/M"),
        ],
        &["rpc.grpc.status_code", "http.response.status_code"],
    ),
    (
        3,
        "p.S/M",
        &[("rpc.system", "grpc"), ("url.full", "http://h:1/p.S/M")],
        &["rpc.grpc.status_code"],
    ),
    (
        4,
        "orders send",
        &[
            ("messaging.system", "kafka"),
            ("messaging.operation", "send"),
            ("messaging.destination.name", "orders"),
        ],
        &["messaging.message.body.size"],
    ),
    (
        5,
        "orders process",
        &[
            ("messaging.system", "kafka"),
            ("messaging.operation", "receive"),
            ("messaging.destination.name", "orders"),
        ],
        &["messaging.message.body.size"],
    ),
    (5, "recv", &[], &[]),
    (
        2,
        "fn",
        &[
            ("faas.trigger", "http"),
            ("faas.invocation_id", "i1"),
            ("error.type", "timeout"),
        ],
        &[],
    ),
    (
        1,
        "step",
        &[("code.function", "f"), ("error", "true")],
        &["thread.id"],
    ),
    (1, "tcp.connect", &[("net.peer.name", "h")], &[]),
    (3, "dns.lookup", &[], &[]),
];
