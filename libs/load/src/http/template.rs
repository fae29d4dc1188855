//! [`RequestTemplate`]: a request that is turned in place into any request of its drive.

use std::sync::Arc;

use crate::http::request::{ExtraHeader, Head, HeadParts, traceparent};
use crate::ids::Ids;
use crate::plan::sizes::step_of;
use crate::plan::target::{Endpoint, Target};

/// A request that is turned in place into any request of its drive: ids and body size differ. Clones share the bodies.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    variants: Vec<Variant>,
    current: usize,
}

/// The request with one of the bodies.
#[derive(Debug, Clone)]
struct Variant {
    head: Vec<u8>,
    traceparent_offset: usize,
    body: Arc<[u8]>,
}

impl RequestTemplate {
    /// The request to `endpoint` of `target` for run `run_id`. `bodies` has at least one element.
    pub fn new(
        target: &Target,
        endpoint: &Endpoint,
        run_id: &str,
        extra_headers: &[ExtraHeader],
        bodies: Vec<Vec<u8>>,
    ) -> Self {
        let variant = |body| Variant::new(target, endpoint, run_id, extra_headers, body);
        Self {
            variants: bodies.into_iter().map(variant).collect(),
            current: 0,
        }
    }

    /// Sets the body and the ids of request `number`.
    pub fn set_request(&mut self, number: u64, ids: Ids) {
        self.current = step_of(number, self.variants.len());
        self.variants[self.current].set_ids(ids, number);
    }

    /// Head and body without the first `skip` bytes.
    pub fn parts_from(&self, skip: usize) -> (&[u8], &[u8]) {
        self.variants[self.current].parts_from(skip)
    }

    /// Bytes of head and body together.
    pub fn len_bytes(&self) -> usize {
        self.variants[self.current].len_bytes()
    }

    /// Bytes of head and body of request `number`.
    pub fn len_bytes_of(&self, number: u64) -> usize {
        self.variants[step_of(number, self.variants.len())].len_bytes()
    }

    /// Bytes of each body, in ascending order.
    pub fn bodies_bytes(&self) -> Vec<u64> {
        self.variants
            .iter()
            .map(|variant| variant.body.len() as u64)
            .collect()
    }
}

impl Variant {
    fn new(
        target: &Target,
        endpoint: &Endpoint,
        run_id: &str,
        extra_headers: &[ExtraHeader],
        body: Vec<u8>,
    ) -> Self {
        let parts = HeadParts {
            method: &endpoint.method,
            path: &endpoint.path,
            target,
            content_type: endpoint.payload.map(|payload| payload.content_type()),
            body_bytes: endpoint.payload.map(|_| body.len()),
            headers: extra_headers,
            run_id,
        };
        // The path of an endpoint was checked when it was parsed.
        let mut head = Head::new(&parts).map_or_else(|_| Vec::new(), |head| head.as_bytes().to_vec());
        let traceparent_offset = head.len();
        head.extend_from_slice(&traceparent(Ids::new(0), 0));
        Self {
            head,
            traceparent_offset,
            body: body.into(),
        }
    }

    fn set_ids(&mut self, ids: Ids, number: u64) {
        self.head[self.traceparent_offset..].copy_from_slice(&traceparent(ids, number));
    }

    fn parts_from(&self, skip: usize) -> (&[u8], &[u8]) {
        let in_head = skip.min(self.head.len());
        (
            &self.head[in_head..],
            &self.body[(skip - in_head).min(self.body.len())..],
        )
    }

    fn len_bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}
