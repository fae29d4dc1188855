//! The real Collector with its file exporter, and the spans in the file that it writes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use e2e::child::Child;

use super::ids::place_of;
use super::rows::Rows;
use super::trace::SPANS_A_TRACE;

/// Name of the file that the Collector writes.
pub const FILE: &str = "traces.jsonl";
const SPAN_ID: &[u8] = b"\"spanId\":\"";
const SPAN_ID_LEN: usize = 16;
const LINE_BUFFER_LEN: usize = 1 << 20;
const ALL_PLACES: u8 = u8::MAX;

/// Starts a Collector with only a receiver and an exporter. It reports no telemetry about itself.
pub fn start(binary: &Path, folder: &Path) -> anyhow::Result<(Child, SocketAddr)> {
    ensure!(
        binary.is_file(),
        "cannot find {}; run `make collector`",
        binary.display()
    );
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let file = folder.join(FILE);
    let config = folder.join("config.yaml");
    let text = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"{address}\", max_recv_msg_size_mib: 16}}}}}}}}\n\
         exporters: {{file: {{path: \"{}\"}}}}\n\
         service:\n  \
           telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}\n  \
           pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}\n",
        file.display()
    );
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(&config);
    Ok((Child::listening("otelcol", command, address)?, address))
}

/// Checks that the file has each span of `traces` traces once.
pub fn check(folder: &Path, traces: u64) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    let context = || format!("cannot read {}", path.display());
    let mut file = BufReader::with_capacity(LINE_BUFFER_LEN, fs::File::open(&path).with_context(context)?);
    let mut spans = Rows::default();
    let mut count = 0;
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line).with_context(context)? > 0 {
        for at in memchr::memmem::find_iter(&line, SPAN_ID) {
            let id = line
                .get(at + SPAN_ID.len()..)
                .and_then(|rest| rest.get(..SPAN_ID_LEN));
            let id = id.and_then(|id| std::str::from_utf8(id).ok());
            let (trace, place) = id.and_then(place_of).context("a span id that was never sent")?;
            ensure!(spans.is_new(trace, place)?, "duplicate span {id:?}");
            count += 1;
        }
        line.clear();
    }
    ensure!(
        count == traces * SPANS_A_TRACE as u64,
        "{count} spans of {traces} traces"
    );
    spans.ensure_each(traces, ALL_PLACES)
}
