//! [`Drive`]: the load of one endpoint, as a stream of requests that differ only in their times and body sizes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::DriveError;
use crate::facts::RequestFacts;
use crate::http::request::{ExtraHeader, Head, HeadParts};
use crate::plan::payload;
use crate::plan::schedule::{Offsets, Schedule};
use crate::plan::sizes::{Sizes, step_of};
use crate::plan::target::{Endpoint, KV_SET_PATH, Target};
use crate::store::store_value;
use crate::stream::{Prepared, Requests, SourceError, Stream};

/// The load of one endpoint.
#[derive(Debug, Clone)]
pub struct Drive {
    pub target: Target,
    pub endpoint: Endpoint,
    pub schedule: Schedule,
    pub sizes: Sizes,
    /// Maximum number of connections.
    pub connections_max: usize,
    /// Maximum time of each wait: for a free connection, then for the response.
    pub timeout: Duration,
    /// Extra headers that the user has set.
    pub headers: Vec<ExtraHeader>,
}

impl Drive {
    /// Finds the server, stores the value that `kvget` reads, and prepares one request of each size.
    pub fn stream(&self, run_id: &str) -> Result<Stream, DriveError> {
        check_sizes(&self.endpoint, self.sizes)?;
        let address = reach(&self.target)?;
        if self.endpoint.needs_key {
            self.set_key()?;
        }
        let Endpoint {
            name, method, path, ..
        } = &self.endpoint;
        let requests = DriveRequests {
            offsets: self.schedule.offsets_ns(),
            index: 0,
            facts: Arc::new(RequestFacts::new(name, method, &self.target, path, run_id)),
            variants: self.variants(run_id)?,
        };
        Ok(Stream {
            name: name.clone(),
            url: format!("{}{path}", self.target),
            targets: vec![address],
            requests: Box::new(requests),
            connections_max: self.connections_max,
            timeout: self.timeout,
            rate_hint: self.schedule.rate,
            rate_asked: Some(self.schedule.rate),
        })
    }

    /// Head and body of each size, in ascending order.
    fn variants(&self, run_id: &str) -> Result<Vec<(Head, Bytes)>, DriveError> {
        let kind = self.endpoint.payload;
        let bodies = match kind {
            Some(kind) => {
                let steps = self.sizes.steps().into_iter();
                let bodies = steps.map(|size_bytes| payload::body(kind, size_bytes, self.schedule.seed));
                bodies.collect::<Result<_, _>>()?
            }
            None => vec![Vec::new()],
        };
        let variant = |body: Vec<u8>| {
            let parts = HeadParts {
                method: &self.endpoint.method,
                path: &self.endpoint.path,
                target: &self.target,
                content_type: kind.map(payload::PayloadKind::content_type),
                body_bytes: kind.map(|_| body.len()),
                headers: &self.headers,
                run_id,
            };
            Ok((Head::new(&parts)?, Bytes::from(body)))
        };
        bodies.into_iter().map(variant).collect()
    }

    /// Stores the value that `kvget` reads.
    fn set_key(&self) -> Result<(), DriveError> {
        let value = payload::body(payload::PayloadKind::Text, self.sizes.max(), self.schedule.seed)?;
        let stored = store_value(&self.target, KV_SET_PATH, &self.headers, &value, self.timeout);
        stored.map_err(|error| DriveError::SetKey {
            target: self.target.clone(),
            error,
        })
    }
}

/// The requests of a drive. All heads and bodies exist before the first request.
struct DriveRequests {
    offsets: Offsets,
    index: u64,
    facts: Arc<RequestFacts>,
    variants: Vec<(Head, Bytes)>,
}

impl Requests for DriveRequests {
    fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
        let Some(offset_ns) = self.offsets.next() else {
            return Ok(None);
        };
        let (head, body) = &self.variants[step_of(self.index, self.variants.len())];
        self.index += 1;
        Ok(Some(Prepared {
            offset_ns,
            target: 0,
            facts: Arc::clone(&self.facts),
            head: head.clone(),
            body: body.clone(),
            original: None,
            is_shared: true,
        }))
    }
}

/// The first address of the target that accepts a connection.
pub fn reach(target: &Target) -> Result<SocketAddr, DriveError> {
    target
        .reachable_address()
        .map_err(|source| DriveError::Unreachable {
            target: target.clone(),
            source,
        })
}

/// Checks that the requests to an endpoint can have bodies of these sizes. Callers check this before they start anything.
pub fn check_sizes(endpoint: &Endpoint, sizes: Sizes) -> Result<(), DriveError> {
    match endpoint.payload {
        Some(kind) => Ok(payload::check(kind, sizes.min()).and(payload::check(kind, sizes.max()))?),
        None if sizes.single().is_none() => Err(DriveError::NoBody(endpoint.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::plan::schedule::Arrivals;

    #[test]
    fn each_request_has_the_body_of_its_size_and_the_length_of_it() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::parse(&format!("http://{}", server.local_addr().unwrap())).unwrap();
        let drive = Drive {
            target,
            endpoint: Endpoint::resolve("hash", None, 0).unwrap(),
            schedule: Schedule {
                rate: 80.0,
                duration: Duration::from_secs(1),
                arrivals: Arrivals::Constant,
                seed: 1,
            },
            sizes: "10-400".parse().unwrap(),
            connections_max: 1,
            timeout: Duration::from_secs(1),
            headers: Vec::new(),
        };
        let mut stream = drive.stream("r").unwrap();
        let mut sizes = Vec::new();
        while let Some(prepared) = stream.requests.next().unwrap() {
            let head = std::str::from_utf8(prepared.head.as_bytes()).unwrap().to_owned();
            assert!(
                head.contains(&format!("content-length: {}\r\n", prepared.body.len())),
                "{head}"
            );
            assert_eq!(prepared.offset_ns, sizes.len() as u64 * 12_500_000);
            assert!(prepared.held_bytes() < 200, "bodies and facts are shared");
            sizes.push(prepared.body.len());
        }
        sizes.sort_unstable();
        let each_twice: Vec<usize> = (1..=40).flat_map(|step| [10 * step; 2]).collect();
        assert_eq!(sizes, each_twice);
    }
}
