//! Requests for the tests of this crate.

use std::sync::Arc;

use bytes::Bytes;

use crate::facts::RequestFacts;
use crate::http::request::{Head, HeadParts};
use crate::plan::target::Target;
use crate::stream::Prepared;

/// A request to the target with this index, without a body.
pub fn get(target: usize) -> Prepared {
    prepared("GET", target, None)
}

/// Like [`get`], with a POST and a body of zeros.
pub fn post(target: usize, body_bytes: usize) -> Prepared {
    prepared("POST", target, Some(body_bytes))
}

fn prepared(method: &str, target: usize, body_bytes: Option<usize>) -> Prepared {
    let origin = Target::parse("http://127.0.0.1:1").unwrap();
    let parts = HeadParts {
        method,
        path: "/x",
        target: &origin,
        content_type: None,
        body_bytes,
        headers: &[],
        run_id: "r",
    };
    Prepared {
        offset_ns: 0,
        target,
        facts: Arc::new(RequestFacts::new("x", method, &origin, "/x", "r")),
        head: Head::new(&parts).unwrap(),
        body: Bytes::from(vec![0; body_bytes.unwrap_or(0)]),
        original: None,
        is_shared: false,
    }
}
