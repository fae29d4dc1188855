//! The endpoints. Each has a file and a line in [`ENDPOINTS`].

mod blob_gunzip;
mod blob_gzip;
mod hash_sha256;
mod json_validate;
mod kv_get;
mod kv_set;
mod work;

use crate::kv::Store;
use crate::request::{Outcome, Request};
use crate::telemetry::server_span::RequestTrace;

/// Inputs of an endpoint besides the request.
pub struct Tools<'a> {
    pub store: &'a Store,
    /// Maximum size of a decompressed body.
    pub gunzip_bytes_max: usize,
    /// Parent of the spans that the endpoint creates.
    pub trace: &'a RequestTrace,
}

pub struct Endpoint {
    pub method: &'static str,
    /// Route pattern; `{key}` matches one path segment.
    pub route: &'static str,
    pub span_name: &'static str,
    /// Runs on a slot.
    pub run: fn(&Request, &Tools<'_>) -> Outcome,
}

macro_rules! endpoint {
    ($method:literal, $route:literal, $run:path) => {
        Endpoint {
            method: $method,
            route: $route,
            span_name: concat!($method, " ", $route),
            run: $run,
        }
    };
}

/// All endpoints of the recorded workload.
pub static ENDPOINTS: [Endpoint; 8] = [
    endpoint!("POST", "/json/validate", json_validate::run),
    endpoint!("POST", "/blob/gzip", blob_gzip::run),
    endpoint!("POST", "/blob/gunzip", blob_gunzip::run),
    endpoint!("POST", "/hash/sha256", hash_sha256::run),
    endpoint!("POST", "/kv/set/{key}", kv_set::run),
    endpoint!("GET", "/kv/get/{key}", kv_get::run),
    endpoint!("GET", "/work", work::run),
    endpoint!("POST", "/work", work::run),
];

/// Whether a next hop with this path is called by GET, without a body.
pub fn is_called_by_get(path: &str) -> bool {
    path.starts_with("/kv/get/") || path == "/work"
}

#[cfg(test)]
pub(crate) mod testing {
    //! Runs an endpoint without a server.

    use super::*;

    /// A POST of `body` with a query.
    pub fn run(
        endpoint: fn(&Request, &Tools<'_>) -> Outcome,
        query: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kv.sqlite"), 64).unwrap();
        let tools = Tools {
            store: &store,
            gunzip_bytes_max: 1 << 20,
            trace: &RequestTrace::untraced(),
        };
        endpoint(
            &Request {
                query: query.into(),
                body: body.into(),
                ..Request::default()
            },
            &tools,
        )
    }
}
