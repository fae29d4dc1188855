//! The OpenTelemetry Collector as a child between services and normalizer, with the project's own configuration.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use otlp_send::list::encode;

use super::children::{Child, ChildError};
use cctf_load::target::Target;

const NAME: &str = "otelcol";
/// The one configuration: that of tests, compose.yaml and the README.
const CONFIG: &str = include_str!("../../../otel-collector.yaml");
/// How often host metrics are taken: runs are short.
const HOST_INTERVAL: &str = "1s";
/// How long the queue may take to empty once nobody adds to it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Limit of one look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// A running Collector.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    metrics: Target,
    /// Where it takes OTLP/gRPC.
    pub otlp_endpoint: String,
}

/// What has been taken and what has been passed on, by its own metrics.
#[derive(Debug, Default, PartialEq)]
struct Flow {
    accepted_spans: f64,
    sent_spans: f64,
    waiting: f64,
}

impl Collector {
    /// Starts `binary` and waits until it takes telemetry for the normalizer at `normalizer`. Its queue is in `scratch`; host
    /// metrics are those of `node` and its stage. It listens at `host`.
    pub fn start(
        binary: &Path,
        host: Ipv4Addr,
        normalizer: &Target,
        (node, stage): (&str, &str),
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            name: NAME.to_owned(),
            source,
        };
        if !binary.is_file() {
            return Err(ChildError::NoCollector(binary.to_owned()));
        }
        let config = scratch.join("otel-collector.yaml");
        fs::write(&config, CONFIG).map_err(failed)?;
        let [grpc, http, health, metrics] = free_ports(host).map_err(failed)?;
        let at = |port| Target {
            host: host.to_string(),
            port,
        };
        let local = |port| at(port).authority();
        let mut command = Command::new(absolute(binary));
        command.arg("--config").arg(&config).envs([
            ("NORMALIZER_ENDPOINT", normalizer.authority()),
            ("OTELCOL_GRPC_LISTEN", local(grpc)),
            ("OTELCOL_HTTP_LISTEN", local(http)),
            ("OTELCOL_HEALTH_LISTEN", local(health)),
            ("OTELCOL_METRICS_HOST", host.to_string()),
            ("OTELCOL_METRICS_PORT", metrics.to_string()),
            ("OTELCOL_QUEUE_DIR", scratch.join("queue").display().to_string()),
            ("OTELCOL_HOST_INTERVAL", HOST_INTERVAL.to_owned()),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                format!("cctf.node_id={},cctf.stage={}", encode(node), encode(stage)),
            ),
        ]);
        let mut child = Child::start(NAME, command, scratch)?;
        child.ready(&at(health), "/", stop)?;
        Ok(Self {
            child,
            metrics: at(metrics),
            otlp_endpoint: at(grpc).to_string(),
        })
    }

    /// An error if it has ended.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.child.check_alive()
    }

    /// Waits until the normalizer has all that the Collector has taken.
    pub fn drain(&mut self) -> Result<(), ChildError> {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        loop {
            let page = http_once::get(&self.metrics.host, self.metrics.port, "/metrics", LOOK_TIMEOUT);
            let flow = page
                .ok()
                .filter(|page| page.status == 200)
                .map(|page| Flow::from_metrics(&page.text()));
            if flow.as_ref().is_some_and(Flow::is_over) {
                return Ok(());
            }
            self.child.check_alive()?;
            if Instant::now() >= deadline {
                return Err(self.child.unresponsive(format!(
                    "has not passed on what it has taken within {} s: {flow:?}",
                    DRAIN_TIMEOUT.as_secs()
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops it. What is in its queue then stays there.
    pub fn stop(mut self) -> Result<(), ChildError> {
        self.child.stop()
    }
}

impl Flow {
    fn from_metrics(page: &str) -> Self {
        let sum = |name: &str| -> f64 {
            let samples = page
                .lines()
                .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
            samples
                .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
                .sum()
        };
        Self {
            accepted_spans: sum("otelcol_receiver_accepted_spans"),
            sent_spans: sum("otelcol_exporter_sent_spans"),
            waiting: sum("otelcol_exporter_queue_size") + sum("otelcol_exporter_in_flight_requests"),
        }
    }

    fn is_over(&self) -> bool {
        self.waiting == 0.0 && self.sent_spans >= self.accepted_spans
    }
}

/// Ports that were free a moment ago: the Collector cannot tell which it would have taken itself.
fn free_ports<const COUNT: usize>(host: Ipv4Addr) -> io::Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    let mut held = Vec::with_capacity(COUNT);
    for port in &mut ports {
        let listener = TcpListener::bind((host, 0))?;
        *port = listener.local_addr()?.port();
        // Held until all are known, so that they differ.
        held.push(listener);
    }
    Ok(ports)
}

/// The child works in another folder than this process.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drained_when_nothing_waits_and_all_that_came_was_sent() {
        let page = |sent: u32, waiting: u32| {
            format!(
                "# TYPE otelcol_exporter_queue_size gauge\n\
                 otelcol_exporter_queue_size{{data_type=\"traces\"}} {waiting}\n\
                 otelcol_exporter_queue_size{{data_type=\"metrics\"}} 0\n\
                 otelcol_exporter_sent_spans{{exporter=\"otlp_grpc\"}} {sent}\n\
                 otelcol_receiver_accepted_spans{{transport=\"grpc\"}} 3\n\
                 otelcol_receiver_accepted_spans{{transport=\"http\"}} 1\n"
            )
        };
        assert!(!Flow::from_metrics(&page(3, 0)).is_over());
        assert!(!Flow::from_metrics(&page(4, 1)).is_over());
        assert!(Flow::from_metrics(&page(4, 0)).is_over());
        assert!(Flow::from_metrics("").is_over(), "nothing has come yet");
    }

    #[test]
    fn a_binary_that_is_not_there_is_told_with_how_to_get_it() {
        let scratch = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let error = Collector::start(
            Path::new("/nowhere/otelcol"),
            Ipv4Addr::LOCALHOST,
            &Target::parse("http://127.0.0.1:1").unwrap(),
            ("n", "edge"),
            scratch.path(),
            &stop,
        );
        let told = error.unwrap_err().to_string();
        assert!(
            told.contains("/nowhere/otelcol") && told.contains("make collector"),
            "{told}"
        );
    }
}
