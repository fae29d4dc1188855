//! Roots for the tests of this crate.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::roots::{Kind, Origin, Root};

/// A root of module `svc` without an answer.
pub fn root(method: &str, path: &str, body_bytes: Option<u64>) -> Root {
    Root {
        at_ns: 0,
        trace_id: TraceId([7; 16]),
        span_id: SpanId([9; 8]),
        origin: Origin::Call,
        kind: Kind::Http,
        module: "svc".into(),
        instance: None,
        method: Some(method.into()),
        path: Some(path.into()),
        protocol: Some("http".into()),
        query: None,
        route: None,
        peer: None,
        body_bytes,
        answer_bytes: None,
        status: None,
        is_answered: true,
        is_resent: false,
        has_session: false,
    }
}
