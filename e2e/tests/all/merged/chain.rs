//! The chain of endpoint, edge and cloud with real services, a real driver, and Collectors that send all data to two receivers.

use std::path::Path;

use e2e::binaries::{Done, bin_dir, command};
use e2e::child::Child;
use e2e::collector::Collector;

use super::RUN;

/// Node and stage, in the order of a request's path.
pub const NODES: [(&str, &str); 3] = [("ep0", "endpoint"), ("edge0", "edge"), ("cloud0", "cloud")];
/// The path of each call. The first one is the driver's.
const PATHS: [&str; 3] = ["/json/validate", "/blob/gzip", "/kv/set/k1"];
/// Number of requests. They are so many that the calls are in different seconds.
pub const REQUESTS: usize = 120;
const RATE: &str = "40";
const DURATION: &str = "3s";

/// A Collector that sends all data to two receivers.
pub struct Tee(Collector);

impl Tee {
    /// Starts a Collector for a service. It sends the service's data to its own normalizer and to the normalizer that receives
    /// all data.
    pub fn start(folder: &Path, own: &Child, all: &Child) -> Self {
        Self::start_to(folder, own.address("grpc").unwrap().port(), all)
    }

    /// Like [`Tee::start`], with any receiver on port `own`.
    pub fn start_to(folder: &Path, own: u16, all: &Child) -> Self {
        std::fs::create_dir(folder).unwrap();
        let all = all.address("grpc").unwrap().to_string();
        let mut collector = Collector::new(folder, own, &[("NORMALIZER_ENDPOINT_2", &all)])
            .unwrap()
            .with_configuration("e2e/tests/all/merged/tee.yaml");
        collector.start().unwrap();
        Self(collector)
    }

    pub fn url(&self) -> String {
        self.0.url()
    }
}

/// Drives requests through a service on each node. Their telemetry is sent to `telemetry`, and the driver's to the first of
/// these. Returns when all is acknowledged.
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
    // A caller is stopped before the services that it calls.
    for service in services.into_iter().rev() {
        let ended = service.stop().unwrap();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}
