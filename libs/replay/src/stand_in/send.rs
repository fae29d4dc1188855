//! [`Sender`]: encodes the requests to stand-ins shortly before they are due.

use std::collections::HashMap;
use std::sync::Arc;

use cctf_load::facts::RequestFacts;
use cctf_load::http::request::{ExtraHeader, HeaderError};
use cctf_load::plan::target::Target;
use cctf_load::stream::{Prepared, Requests, SourceError};
use foldhash::HashSet;
use plan::roots::{Arrival, Root, RootsError};
use standin::request::{method, path};
use standin::{PLAN_HEADER, PLAN_VERSION, StandIns, body};

use super::by_root::ByRoot;
use super::nested::{Stages, Tally, nest};
use super::probes::{ProbeError, target};
use crate::heads::{Heads, original};

/// Maximum number of stored request facts, of some 1 KiB each. A full table is emptied.
const FACTS_MAX: usize = 10_000;

/// Data that all requests share.
pub struct Shared {
    pub roots: ByRoot,
    pub stand_ins: StandIns,
    pub stages: Stages,
    /// Numbers of the trees that are not sent.
    pub excluded: HashSet<u32>,
    /// The stand-ins, in the order of the file.
    targets: Vec<Target>,
}

impl Shared {
    /// # Errors
    /// If a URL of the file is invalid.
    pub fn new(
        roots: ByRoot,
        stand_ins: StandIns,
        stages: Stages,
        excluded: HashSet<u32>,
    ) -> Result<Self, ProbeError> {
        let targets = stand_ins.instances().iter().map(target);
        Ok(Self {
            targets: targets.collect::<Result<_, _>>()?,
            roots,
            stand_ins,
            stages,
            excluded,
        })
    }

    /// The addresses to which the driver sends. [`Prepared::target`] is an index in this list.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// Encodes the requests of the plan.
pub struct Sender<A> {
    arrivals: A,
    shared: Arc<Shared>,
    heads: Heads,
    facts: HashMap<FactsKey, Arc<RequestFacts>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FactsKey {
    target: usize,
    method: Arc<str>,
    path: Arc<str>,
    shape: Arc<str>,
}

impl<A: Iterator<Item = Result<Arrival, RootsError>>> Sender<A> {
    /// `headers` are those that the user added.
    ///
    /// # Errors
    /// Never: the header that is added is valid.
    pub fn new(
        arrivals: A,
        shared: Arc<Shared>,
        mut headers: Vec<ExtraHeader>,
        run_id: String,
    ) -> Result<Self, HeaderError> {
        headers.push(ExtraHeader::parse(&format!("{PLAN_HEADER}: {PLAN_VERSION}"))?);
        Ok(Self {
            arrivals,
            shared,
            heads: Heads::new(headers, run_id),
            facts: HashMap::new(),
        })
    }

    fn prepare(&mut self, arrival: &Arrival) -> Result<Option<Prepared>, SourceError> {
        let shared = Arc::clone(&self.shared);
        let root = &arrival.root;
        let number = shared.roots.find(root);
        let Some(number) = number.filter(|number| !shared.excluded.contains(number)) else {
            return Ok(None);
        };
        let tree = shared.roots.tree(number);
        let mut tally = Tally::default();
        let changes = shared.stages.at(arrival.offset_ns);
        let work = nest(&shared.roots.plan, &tree, changes, &mut tally)?;
        let first = tree.invocations.first().ok_or("a root has no invocation")?;
        let (body, _) = body(&work, tally.body(first.bytes_in, &work));
        let (module, instance) = shared.roots.instance(first.instance);
        let instance = changes.stand_in(first.instance, instance);
        let chosen = shared.stand_ins.choose_index(module, instance);
        let target = chosen.ok_or_else(|| format!("module {module:?} has no stand-in"))?;
        let endpoint = &shared.roots.plan.recorded.names().endpoints[first.endpoint as usize];
        let method = method(endpoint.method.as_deref());
        let path = path(endpoint.route.as_deref());
        let with_body = Some(("application/octet-stream", body.len()));
        let head = self
            .heads
            .head(&shared.targets[target], method, &path, with_body)?;
        Ok(Some(Prepared {
            offset_ns: arrival.offset_ns,
            target,
            facts: self.facts(root, target, method, &path),
            head,
            body,
            original: Some(original(root)),
            is_shared: false,
        }))
    }

    /// The facts that spans report, with the recorded method and path. For a recorded HEAD request, they have the method that is
    /// sent, POST, so that the driver waits for the body of the answer.
    fn facts(&mut self, root: &Root, target: usize, method: &str, path: &str) -> Arc<RequestFacts> {
        let recorded = root.method.clone().filter(|method| &**method != "HEAD");
        let is_plain =
            |path: &Arc<str>| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        let path = root.path.clone().filter(is_plain).unwrap_or_else(|| path.into());
        let key = FactsKey {
            target,
            method: recorded.unwrap_or_else(|| method.into()),
            shape: Arc::clone(root.shape().unwrap_or(&path)),
            path,
        };
        if let Some(known) = self.facts.get(&key) {
            return Arc::clone(known);
        }
        let to = &self.shared.targets[target];
        let facts = Arc::new(self.heads.facts(to, &key.shape, &key.method, &key.path));
        if self.facts.len() >= FACTS_MAX {
            self.facts.clear();
        }
        self.facts.insert(key, Arc::clone(&facts));
        facts
    }
}

impl<A: Iterator<Item = Result<Arrival, RootsError>> + Send> Requests for Sender<A> {
    fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
        while let Some(arrival) = self.arrivals.next() {
            if let Some(prepared) = self.prepare(&arrival?)? {
                return Ok(Some(prepared));
            }
        }
        Ok(None)
    }
}
