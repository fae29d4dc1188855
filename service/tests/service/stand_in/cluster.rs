//! [`Cluster`]: stand-ins of a few modules, plans for them, and the spans that they report.

use std::net::TcpStream;
use std::path::PathBuf;

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use standin::{Call, Callee, Ends, Instance, Kind, StandIns, Wait, What, Work};

use crate::client::{Response, connect, write_request};
use crate::hand::Hand;
use crate::receiver::{self, Received, Receiver};
use crate::spawn::{Service, spawn};

pub const MS: u64 = 1_000_000;
/// The module whose stand-in the test plays.
const HAND: &str = "hand";
/// The maximum of a planned time. It is not over within a test.
pub const HOUR: u64 = 3_600_000 * MS;

/// Running stand-ins, one for each module. Each has the addresses of the others, and of the one that the test plays.
pub struct Cluster {
    pub hand: Hand,
    receiver: Receiver,
    services: Vec<(String, Service)>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// All spans that the stand-ins of a stopped cluster have reported.
pub struct Spans(Vec<Received>);

impl Cluster {
    /// Starts a stand-in for each module, with its environment variables. The file of addresses does not exist yet.
    pub fn start_without_file(modules: &[(&str, &[(&str, &str)])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let receiver = receiver::start();
        let file = folder.path().join("stand-ins.json");
        let services = modules.iter().map(|(module, variables)| {
            let own = [
                ("STAND_IN", file.to_str().unwrap()),
                ("MODULE_ID", *module),
                ("INSTANCE_ID", "1"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()),
            ];
            ((*module).to_owned(), spawn(&[&own[..], variables].concat()))
        });
        let services = services.collect();
        Self {
            hand: Hand::open(),
            receiver,
            services,
            file,
            _folder: folder,
        }
    }

    pub fn start(modules: &[(&str, &[(&str, &str)])]) -> Self {
        let cluster = Self::start_without_file(modules);
        cluster.write_file();
        cluster
    }

    pub fn write_file(&self) {
        let own = self
            .services
            .iter()
            .map(|(module, service)| (module.as_str(), service.url("")));
        let instances = own
            .chain([(HAND, self.hand.url())])
            .map(|(module, url)| Instance {
                module: module.to_owned(),
                instance: "1".to_owned(),
                url,
            });
        let file = StandIns::new(instances.collect()).unwrap().to_json();
        std::fs::write(&self.file, file).unwrap();
    }

    pub fn service(&self, module: &str) -> &Service {
        let found = self.services.iter().find(|(name, _)| name == module);
        &found.unwrap().1
    }

    /// Sends a plan to a module. The request's body is not larger than the plan.
    pub fn send(&self, module: &str, work: &Work<'_>) -> Response {
        let (body, _) = standin::body(&standin::encode(work), 0);
        self.service(module)
            .post_with("/any", &[(standin::PLAN_HEADER, "1")], body)
    }

    /// Sends a plan to a module. The test reads the answer later.
    pub fn begin(&self, module: &str, work: &Work<'_>) -> TcpStream {
        let (body, _) = standin::body(&standin::encode(work), 0);
        let mut stream = connect(self.service(module).address);
        write_request(&mut stream, "POST", "/any", &[(standin::PLAN_HEADER, "1")], &body);
        stream
    }

    /// Stops the stand-ins, callers before callees.
    pub fn stop(self) -> Spans {
        for (_, service) in self.services {
            service.stop();
        }
        let mut spans = self.receiver.spans();
        spans.retain(|received| received.scope != keys::CONTROL_SCOPE);
        Spans(spans)
    }
}

impl Spans {
    /// The only span of a kind with this path.
    pub fn one(&self, kind: SpanKind, path: &str) -> &Received {
        let found = self.all(kind, path);
        assert_eq!(found.len(), 1, "{kind:?} {path}");
        found[0]
    }

    pub fn all(&self, kind: SpanKind, path: &str) -> Vec<&Received> {
        let is_it = |span: &&Received| span.span.kind() == kind && span.text("url.path") == Some(path);
        self.0.iter().filter(is_it).collect()
    }

    /// The only span with this name.
    pub fn of_name(&self, name: &str) -> &Received {
        let mut found = self.0.iter().filter(|span| span.span.name == name);
        let one = found.next().expect("a span");
        assert!(found.next().is_none(), "several spans are named {name}");
        one
    }

    pub fn call(&self, path: &str) -> &Received {
        self.one(SpanKind::Client, path)
    }

    pub fn served(&self, path: &str) -> &Received {
        self.one(SpanKind::Server, path)
    }
}

pub fn start_ns(received: &Received) -> u64 {
    received.span.start_time_unix_nano
}

pub fn end_ns(received: &Received) -> u64 {
    received.span.end_time_unix_nano
}

/// Work without calls. It takes `gap_ns`.
pub fn leaf(route: &str, gap_ns: u64) -> Work<'_> {
    work(route, Vec::new(), after(&[], gap_ns))
}

pub fn work<'a>(route: &'a str, calls: Vec<Call<'a>>, answer: Wait) -> Work<'a> {
    Work {
        kind: Kind::Server,
        method: Some("GET"),
        route: Some(route),
        calls,
        answer,
        beside_cpu_ns: 0,
        bytes_out: 0,
        status: Some(200),
        error: None,
        is_failed: false,
        fails_with: Vec::new(),
    }
}

pub fn after(after: &[u16], gap_ns: u64) -> Wait {
    Wait {
        after: after.to_vec(),
        gap_ns,
        ..Wait::default()
    }
}

/// A call to a callee that reports no telemetry.
pub fn database(path: &str, wait: Wait, lasts_ns: u64) -> Call<'_> {
    Call {
        wait,
        is_after_answer: false,
        what: What::Request,
        ends: Ends::Duration(lasts_ns),
        net_ns: 0,
        answer_status: 200,
        retry_of: None,
        peer: Some("redis:6379"),
        method: Some("SET"),
        path: Some(path),
        bytes_out: 11,
        bytes_in: 22,
        status: Some(200),
        error: None,
        is_failed: false,
        callees: Vec::new(),
    }
}

/// A call to `back`, which does the work `work`.
pub fn request<'a>(path: &'a str, wait: Wait, work: &'a [u8]) -> Call<'a> {
    Call {
        ends: Ends::Answer,
        peer: None,
        method: Some("GET"),
        callees: vec![callee(0, work)],
        ..database(path, wait, 0)
    }
}

pub fn callee(delay_ns: u64, work: &[u8]) -> Callee<'_> {
    Callee {
        module: "back",
        instance: "1",
        delay_ns,
        body_bytes: 0,
        work,
    }
}

/// A call that the test answers. Nobody does the work `work`.
pub fn by_hand<'a>(path: &'a str, wait: Wait, work: &'a [u8]) -> Call<'a> {
    Call {
        callees: vec![to_hand(work)],
        ..request(path, wait, work)
    }
}

pub fn to_hand(work: &[u8]) -> Callee<'_> {
    Callee {
        module: HAND,
        ..callee(0, work)
    }
}
