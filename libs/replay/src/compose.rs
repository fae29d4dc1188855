//! [`Composer`]: encodes the requests of a plan shortly before they are due.

use std::collections::HashMap;
use std::sync::Arc;

use cctf_load::facts::RequestFacts;
use cctf_load::http::request::{ExtraHeader, Head};
use cctf_load::stream::{Prepared, Requests, SourceError};
use plan::roots::{Arrival, RootsError};

use crate::bodies::{Bodies, Body};
use crate::heads::{Heads, original};
use crate::overview::unsent;
use crate::targets::Targets;

/// Maximum memory for stored request heads, bytes: some 20,000 heads of usual length. A full table is emptied.
const HEADS_BYTES_MAX: usize = 32 << 20;

/// Makes the requests of a plan.
pub struct Composer<A> {
    arrivals: A,
    targets: Targets,
    bodies: Bodies,
    heads: Heads,
    known: HashMap<HeadKey, Shared>,
    /// Memory of `known`, bytes.
    known_bytes: usize,
    /// Number of the next request.
    index: u64,
}

/// All properties in which the heads of two requests can differ.
#[derive(PartialEq, Eq, Hash)]
struct HeadKey {
    target: usize,
    method: Arc<str>,
    path: Arc<str>,
    query: Option<Arc<str>>,
    shape: Arc<str>,
    content_type: Option<Arc<str>>,
    body_bytes: usize,
}

#[derive(Clone)]
struct Shared {
    head: Head,
    facts: Arc<RequestFacts>,
}

impl<A: Iterator<Item = Result<Arrival, RootsError>>> Composer<A> {
    /// All modules in the arrivals must have a target.
    pub fn new(
        arrivals: A,
        targets: Targets,
        bodies: Bodies,
        headers: Vec<ExtraHeader>,
        run_id: String,
    ) -> Self {
        Self {
            arrivals,
            targets,
            bodies,
            heads: Heads::new(headers, run_id),
            known: HashMap::new(),
            known_bytes: 0,
            index: 0,
        }
    }

    fn prepare(&mut self, arrival: &Arrival) -> Result<Option<Prepared>, SourceError> {
        let root = &arrival.root;
        let (Some(method), Some(path), None) = (&root.method, &root.path, unsent(root)) else {
            return Ok(None);
        };
        let missing = || format!("module {:?} has no target", root.module);
        let target = self.targets.of_module(&root.module).ok_or_else(missing)?;
        let body = self.bodies.body(root, self.index);
        self.index += 1;
        let key = HeadKey {
            target,
            method: Arc::clone(method),
            path: Arc::clone(path),
            query: root.query.clone(),
            shape: Arc::clone(root.shape().unwrap_or(path)),
            content_type: body.content_type.clone(),
            body_bytes: body.bytes.len(),
        };
        let (shared, is_known) = match self.known.get(&key) {
            Some(shared) => (shared.clone(), true),
            None => (self.new_head(key, &body)?, false),
        };
        Ok(Some(Prepared {
            offset_ns: arrival.offset_ns,
            target,
            facts: shared.facts,
            head: shared.head,
            is_shared: is_known && body.is_shared,
            body: body.bytes,
            original: Some(original(root)),
        }))
    }

    fn new_head(&mut self, key: HeadKey, body: &Body) -> Result<Shared, SourceError> {
        let target = self.targets.all().get(key.target).ok_or("a service is missing")?;
        let path: String = match &key.query {
            Some(query) => format!("{}?{query}", key.path),
            None => key.path.to_string(),
        };
        let with_body = body
            .content_type
            .as_deref()
            .map(|content_type| (content_type, body.bytes.len()));
        let head = self.heads.head(target, &key.method, &path, with_body)?;
        let facts = self.heads.facts(target, &key.shape, &key.method, &path);
        let shared = Shared {
            head,
            facts: Arc::new(facts),
        };
        // Only the path is owned by the key; the other texts are shared between keys.
        let bytes =
            size_of::<HeadKey>() + path.len() + shared.head.as_bytes().len() + shared.facts.held_bytes();
        if self.known_bytes + bytes > HEADS_BYTES_MAX {
            self.known.clear();
            self.known_bytes = 0;
        }
        self.known_bytes += bytes;
        self.known.insert(key, shared.clone());
        Ok(shared)
    }
}

impl<A: Iterator<Item = Result<Arrival, RootsError>> + Send> Requests for Composer<A> {
    fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
        while let Some(arrival) = self.arrivals.next() {
            let arrival = arrival?;
            if let Some(prepared) = self.prepare(&arrival)? {
                return Ok(Some(prepared));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use cctf_load::stream::Original;
    use plan::roots::Root;

    use super::*;
    use crate::testing::root;

    fn compose(roots: Vec<Root>, targets: &[&str], headers: &[&str]) -> Vec<Prepared> {
        let flags: Vec<_> = targets.iter().map(|target| target.parse().unwrap()).collect();
        let arrivals = roots.into_iter().zip(0..).map(|(root, offset_ns)| {
            Ok(Arrival {
                offset_ns,
                copy: 0,
                root,
            })
        });
        let headers = headers
            .iter()
            .map(|header| ExtraHeader::parse(header).unwrap())
            .collect();
        let mut composer = Composer::new(
            arrivals,
            Targets::new(&flags).unwrap(),
            Bodies::new(1, Arc::default()),
            headers,
            "again".to_owned(),
        );
        let mut prepared = Vec::new();
        while let Some(next) = composer.next().unwrap() {
            prepared.push(next);
        }
        prepared
    }

    fn head(prepared: &Prepared) -> &str {
        std::str::from_utf8(prepared.head.as_bytes()).unwrap()
    }

    #[test]
    fn method_path_query_and_size_are_as_recorded() {
        let query = Root {
            query: Some("cpu_ms=2&sleep_ms=1".into()),
            status: Some(200),
            ..root("GET", "/work", Some(0))
        };
        let other = Root {
            module: "cart".into(),
            ..root("POST", "/cart", Some(77))
        };
        let sent = compose(
            vec![query, other, root("DELETE", "/cart/1", None)],
            &["http://127.0.0.1:1", "cart=http://127.0.0.1:2"],
            &["Host: shop.example"],
        );
        assert_eq!(
            head(&sent[0]),
            "GET /work?cpu_ms=2&sleep_ms=1 HTTP/1.1\r\nhost: shop.example\r\nbaggage: cctf.run_id=again\r\n"
        );
        assert_eq!((sent[0].target, sent[0].offset_ns, sent[0].body.len()), (0, 0, 0));
        let original = Original {
            trace_id: [7; 16],
            span_id: [9; 8],
            status: Some(200),
        };
        assert_eq!(sent[0].original, Some(original));
        let filler = "POST /cart HTTP/1.1\r\nhost: shop.example\r\ncontent-type: application/octet-stream\r\ncontent-length: 77\r\n";
        assert!(head(&sent[1]).starts_with(filler), "{}", head(&sent[1]));
        assert_eq!((sent[1].target, sent[1].body.len()), (1, 77));
        assert!(!head(&sent[2]).contains("content-"));
    }

    #[test]
    fn requests_that_are_equal_share_their_bytes() {
        let same = || root("POST", "/json/validate", Some(500));
        let sent = compose(
            vec![same(), same(), root("POST", "/json/validate", Some(501))],
            &["http://127.0.0.1:1"],
            &[],
        );
        assert_eq!(
            sent.iter().map(|sent| sent.is_shared).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert!(Arc::ptr_eq(&sent[0].facts, &sent[1].facts));
        assert_eq!(sent[0].body.as_ptr(), sent[1].body.as_ptr());
        assert!(sent[1].held_bytes() < sent[0].held_bytes());
    }

    #[test]
    fn a_root_that_cannot_be_sent_is_passed_over() {
        let sent = compose(
            vec![root("POST", "/a", Some(65 << 20)), root("GET", "/b", None)],
            &["http://127.0.0.1:1"],
            &[],
        );
        assert_eq!(sent.len(), 1);
        assert!(head(&sent[0]).starts_with("GET /b "));
    }
}
