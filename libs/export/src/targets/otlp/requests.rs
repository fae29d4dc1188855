//! [`Requests`]: spans packed into requests of OTLP.

use std::rc::Rc;

use foldhash::{HashMap, HashMapExt as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// Maximum size of the spans of a request, bytes, unless a single span is larger. Receivers of gRPC take 4 MiB by default.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Maximum number of resources that are kept for later spans, about 20 MB. When this many are kept, a further one removes all of
/// them.
const ORIGINS_MAX: usize = 10_000;

/// Receives each request.
pub type Take<'t> = &'t mut dyn FnMut(&ExportTraceServiceRequest) -> anyhow::Result<()>;

/// A resource with its key.
#[derive(Debug)]
pub struct Origin {
    /// Different resources have different keys.
    pub key: String,
    pub resource: Resource,
}

/// A span with its resource.
pub struct Sent {
    pub origin: Rc<Origin>,
    /// Name of the instrumentation scope.
    pub scope: &'static str,
    pub span: Span,
}

/// Resources by key, so that the spans of one sender share a resource.
#[derive(Debug, Default)]
pub struct Origins(HashMap<String, Rc<Origin>>);

impl Origins {
    /// The resource with this key. If it is new, `make` makes it.
    pub fn get(&mut self, key: String, make: impl FnOnce() -> Resource) -> Rc<Origin> {
        if let Some(origin) = self.0.get(&key) {
            return Rc::clone(origin);
        }
        if self.0.len() >= ORIGINS_MAX {
            self.0.clear();
        }
        let resource = make();
        let origin = Rc::new(Origin {
            key: key.clone(),
            resource,
        });
        self.0.insert(key, Rc::clone(&origin));
        origin
    }
}

/// Collects spans in a request, and passes the request on when it is full.
pub struct Requests<'t> {
    take: Take<'t>,
    request: ExportTraceServiceRequest,
    /// The index in `resource_spans` of the request, by the key of the resource.
    places: HashMap<String, usize>,
    bytes: usize,
    pub spans: u64,
}

impl<'t> Requests<'t> {
    pub fn new(take: Take<'t>) -> Self {
        Self {
            take,
            request: ExportTraceServiceRequest::default(),
            places: HashMap::new(),
            bytes: 0,
            spans: 0,
        }
    }

    /// Adds the spans of a trace. If all of them fit into one request, they are in one request. Otherwise, the span that ends
    /// last is sent first. A receiver whose clock is the latest end of a span so far then gets all spans of the trace at the same
    /// time.
    ///
    /// # Errors
    /// If a request is not taken.
    pub fn add_trace(&mut self, mut spans: Vec<Sent>) -> anyhow::Result<()> {
        let bytes: usize = spans.iter().map(|sent| sent.span.encoded_len()).sum();
        if self.bytes + bytes > REQUEST_BYTES_MAX {
            self.flush()?;
        }
        if bytes > REQUEST_BYTES_MAX {
            let ends = spans.iter().enumerate();
            let last = ends.max_by_key(|(_, sent)| sent.span.end_time_unix_nano);
            let last = last.map_or(0, |(index, _)| index);
            spans[..=last].rotate_right(1);
        }
        for sent in spans {
            self.add(sent)?;
        }
        Ok(())
    }

    /// Adds a span.
    ///
    /// # Errors
    /// If a request is not taken.
    pub fn add(&mut self, sent: Sent) -> anyhow::Result<()> {
        let bytes = sent.span.encoded_len();
        if self.bytes + bytes > REQUEST_BYTES_MAX {
            self.flush()?;
        }
        self.bytes += bytes;
        self.spans += 1;
        let place = match self.places.get(&sent.origin.key) {
            Some(place) => *place,
            None => {
                let place = self.request.resource_spans.len();
                self.bytes += sent.origin.resource.encoded_len();
                self.request.resource_spans.push(ResourceSpans {
                    resource: Some(sent.origin.resource.clone()),
                    ..ResourceSpans::default()
                });
                self.places.insert(sent.origin.key.clone(), place);
                place
            }
        };
        let scopes = &mut self.request.resource_spans[place].scope_spans;
        let has_scope =
            |spans: &ScopeSpans| spans.scope.as_ref().is_some_and(|scope| scope.name == sent.scope);
        match scopes.iter().position(has_scope) {
            Some(of_scope) => scopes[of_scope].spans.push(sent.span),
            None => scopes.push(ScopeSpans {
                scope: Some(scope(sent.scope)),
                spans: vec![sent.span],
                ..ScopeSpans::default()
            }),
        }
        Ok(())
    }

    /// Passes on the request in progress.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        if self.request.resource_spans.is_empty() {
            return Ok(());
        }
        (self.take)(&self.request)?;
        self.request.resource_spans.clear();
        self.places.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
