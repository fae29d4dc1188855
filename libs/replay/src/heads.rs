//! [`Heads`]: makes the request heads (first line and headers) of a replay.

use cctf_load::facts::RequestFacts;
use cctf_load::http::request::{ExtraHeader, Head, HeadError, HeadParts};
use cctf_load::plan::target::Target;
use cctf_load::stream::Original;
use plan::roots::Root;

/// Makes the heads of requests.
pub struct Heads {
    headers: Vec<ExtraHeader>,
    run_id: String,
}

impl Heads {
    /// `headers` are added to every request; `run_id` is the id of the new run.
    pub fn new(headers: Vec<ExtraHeader>, run_id: String) -> Self {
        Self { headers, run_id }
    }

    /// The head of a request. `body` has the content type and the number of bytes.
    ///
    /// # Errors
    /// If method or path contain invalid bytes.
    pub fn head(
        &self,
        target: &Target,
        method: &str,
        path: &str,
        body: Option<(&str, usize)>,
    ) -> Result<Head, HeadError> {
        Head::new(&HeadParts {
            method,
            path,
            target,
            content_type: body.map(|(content_type, _)| content_type),
            body_bytes: body.map(|(_, bytes)| bytes),
            headers: &self.headers,
            run_id: &self.run_id,
        })
    }

    /// The attributes that the spans of requests with the same head share. `shape` is the name of the endpoint.
    pub fn facts(&self, target: &Target, shape: &str, method: &str, path: &str) -> RequestFacts {
        RequestFacts::new(shape, method, target, path, &self.run_id)
    }
}

/// The recorded request that a request of the replay repeats.
pub fn original(root: &Root) -> Original {
    Original {
        trace_id: root.trace_id.0,
        span_id: root.span_id.0,
        // Other statuses, such as those of gRPC, are not valid HTTP statuses.
        status: root.status.filter(|status| (200..600).contains(status)),
    }
}
