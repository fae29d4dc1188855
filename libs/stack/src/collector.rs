//! The OpenTelemetry Collector as a child process between services and normalizer, with the project's own configuration.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use cctf_load::plan::target::Target;
use otlp_send::list::encode;

use super::child::{Child, ChildError};

const NAME: &str = "otelcol";
/// The configuration. The tests, compose.yaml and the README also use it.
const CONFIG: &str = include_str!("../../../otel-collector.yaml");
/// Interval of host metrics: short, because runs are short.
const HOST_INTERVAL: &str = "1s";
/// Maximum time for the queue to become empty after the last span.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between two reads of the Collector's metrics.
const READ_INTERVAL: Duration = Duration::from_millis(50);
/// Timeout of one read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Collector {
    child: Child,
    metrics: Target,
    /// Endpoint of its OTLP/gRPC receiver.
    pub otlp_endpoint: String,
}

/// The Collector's own metrics: numbers of received and sent spans, and of requests in its queue.
#[derive(Debug, Default, PartialEq)]
struct Flow {
    accepted_spans: f64,
    sent_spans: f64,
    waiting: f64,
}

impl Collector {
    /// Starts `binary`, listening at `host`, and waits until it is ready. It sends to `normalizer`.
    ///
    /// The Collector's queue is stored in `scratch`. Its host metrics are reported as those of `node`, a node of `stage`.
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
        let target = |port| Target {
            host: host.to_string(),
            port,
        };
        let local = |port| target(port).authority();
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
        child.ready(&target(health), "/", stop)?;
        Ok(Self {
            child,
            metrics: target(metrics),
            otlp_endpoint: target(grpc).to_string(),
        })
    }

    /// Fails if the Collector has exited.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.child.check_alive()
    }

    /// Waits until the Collector has sent everything to the normalizer.
    pub fn drain(&mut self) -> Result<(), ChildError> {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        loop {
            let page = http_once::get(&self.metrics.host, self.metrics.port, "/metrics", READ_TIMEOUT);
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
                    "has not sent everything within {} s: {flow:?}",
                    DRAIN_TIMEOUT.as_secs()
                )));
            }
            std::thread::sleep(READ_INTERVAL);
        }
    }

    /// Stops the Collector. Data in its queue stays on the disk.
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

/// Ports that were free a moment ago. They are chosen here because the Collector does not report the ports that it binds.
fn free_ports<const COUNT: usize>(host: Ipv4Addr) -> io::Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    let mut held = Vec::with_capacity(COUNT);
    for port in &mut ports {
        let listener = TcpListener::bind((host, 0))?;
        *port = listener.local_addr()?.port();
        // Each port stays bound until all are known, so that they differ.
        held.push(listener);
    }
    Ok(ports)
}

/// The absolute path, because the child has another working directory.
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
        assert!(Flow::from_metrics("").is_over(), "nothing has been received yet");
    }

    #[test]
    fn a_missing_binary_is_reported_with_how_to_get_it() {
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
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("/nowhere/otelcol") && text.contains("make collector"),
            "{text}"
        );
    }
}
