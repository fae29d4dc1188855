//! The chain of endpoint, edge and cloud: real services, a real driver, and Collectors that send everything to two receivers.

use std::path::Path;

use e2e::binaries::{Done, bin_dir, command};
use e2e::child::Child;
use e2e::collector::Collector;

use super::RUN;

/// Node and stage, in the order of a request's way.
pub const NODES: [(&str, &str); 3] = [("ep0", "endpoint"), ("edge0", "edge"), ("cloud0", "cloud")];
/// What each service is called for, the driver's call first.
const PATHS: [&str; 3] = ["/json/validate", "/blob/gzip", "/kv/set/k1"];
/// Requests of the driver: enough that the second of a call is not the same for all.
pub const REQUESTS: usize = 120;
const RATE: &str = "40";
const DURATION: &str = "3s";

/// A Collector with two receivers behind it.
pub struct Tee(Collector);

impl Tee {
    /// Between a service, and its own normalizer and the one that sees all.
    pub fn start(folder: &Path, own: &Child, all: &Child) -> Self {
        Self::start_to(folder, own.address("grpc").unwrap().port(), all)
    }

    /// The same with whatever listens on a port.
    pub fn start_to(folder: &Path, own: u16, all: &Child) -> Self {
        std::fs::create_dir(folder).unwrap();
        let all = all.address("grpc").unwrap().to_string();
        let mut collector = Collector::new(folder, own, &[("NORMALIZER_ENDPOINT_2", &all)])
            .unwrap()
            .with_configuration("e2e/tests/all/merged/tee.yaml");
        collector.start().unwrap();
        Self(collector)
    }

    /// Where services send to.
    pub fn url(&self) -> String {
        self.0.url()
    }
}

/// Drives requests through a service on each node, whose telemetry goes to `telemetry`; the driver's goes where the first
/// one's does. When it returns, all has been acknowledged.
pub fn drive(telemetry: [String; 3]) {
    let bin_dir = bin_dir().unwrap();
    let mut services: Vec<Child> = Vec::new();
    let mut next: Option<String> = None;
    for (((node, stage), path), telemetry) in NODES.into_iter().zip(PATHS).zip(&telemetry).rev() {
        let origin = services.last().map(|next| next.url("listening").unwrap());
        let mut variables = vec![
            ("NODE_ID", node),
            ("STAGE", stage),
            ("APP_ID", "shop"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.as_str()),
        ];
        if let (Some(next), Some(origin)) = (&next, &origin) {
            variables.extend([("DEFAULT_NEXT_URL", next.as_str()), ("NEXT_URL_ALLOW", origin)]);
        }
        services.push(Child::service(&bin_dir, &variables).unwrap());
        next = Some(format!(
            "{}{path}",
            services.last().unwrap().url("listening").unwrap()
        ));
    }
    let target = services.last().unwrap().url("listening").unwrap();
    let mut load = command("cctf").unwrap();
    load.args([
        "load",
        "--endpoint",
        "json",
        "--rate",
        RATE,
        "--duration",
        DURATION,
        "--run-id",
        RUN,
    ]);
    load.args([
        "--node-id",
        "driver0",
        "--stage",
        "endpoint",
        "--app-id",
        "shop",
        "--format",
        "json",
    ]);
    load.args(["--target", &target, "--otlp-endpoint", &telemetry[0]]);
    let done = Done::from(load.output().unwrap());
    assert_eq!(done.code, Some(0), "{done:?}");
    // Who calls ends before whom it calls.
    for service in services.into_iter().rev() {
        let ended = service.stop().unwrap();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}
