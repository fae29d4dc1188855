//! The measured values of one receiver, as a line of text and as a line of JSON for a table.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::Sent;
use super::subject::Kind;

const MIB: f64 = (1 << 20) as f64;

/// One measurement.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Name of the measurement.
    pub part: &'static str,
    pub subject: &'static str,
    pub spans_a_request: usize,
    /// Number of spans. All were accepted.
    pub spans: u64,
    pub cpu_us_a_span: f64,
    /// Rate over the time from the first request to the last row on disk.
    pub spans_a_second: f64,
    /// Time from when a request was scheduled to its acknowledgement.
    pub ack_ms_p50: f64,
    pub ack_ms_p99: f64,
    /// Time from the acknowledgement of the last span that a row needs to the row in the file.
    pub readable_ms_p50: Option<f64>,
    pub readable_ms_p99: Option<f64>,
    pub peak_mib: f64,
    pub written_bytes_a_span: f64,
    /// Number of refused requests, which were repeated.
    pub refused: u64,
}

impl Figures {
    /// The values of a load. `took` is the time until it was complete.
    pub fn new(
        (part, kind): (&'static str, Kind),
        spans_a_request: usize,
        sent: &Sent,
        cpu: Duration,
        took: Duration,
        (written_bytes, peak_bytes): (u64, u64),
    ) -> Self {
        let spans = sent.spans as f64;
        Self {
            part,
            subject: kind.name(),
            spans_a_request,
            spans: sent.spans,
            cpu_us_a_span: cpu.as_secs_f64() * 1e6 / spans,
            spans_a_second: spans / took.as_secs_f64(),
            ack_ms_p50: quantile_ms(&sent.ack_ns, 0.5),
            ack_ms_p99: quantile_ms(&sent.ack_ns, 0.99),
            peak_mib: peak_bytes as f64 / MIB,
            written_bytes_a_span: written_bytes as f64 / spans,
            refused: sent.refused,
            ..Self::default()
        }
    }

    /// Prints JSON to standard output and text to standard error.
    pub fn print(&self) -> anyhow::Result<()> {
        let readable = self.readable_ms_p99.map_or(String::new(), |p99| {
            format!(
                ", line readable p50 {:.1} p99 {p99:.1} ms",
                self.readable_ms_p50.unwrap_or_default()
            )
        });
        eprintln!(
            "{:<10} {:<9} {:>3} a request: {:.3} us of CPU a span, {:>7.0} spans/s, ack p50 {:.2} p99 {:.2} ms{readable}, \
             peak {:.0} MiB, {:.0} bytes written a span, {} refused, {} spans",
            self.part,
            self.subject,
            self.spans_a_request,
            self.cpu_us_a_span,
            self.spans_a_second,
            self.ack_ms_p50,
            self.ack_ms_p99,
            self.peak_mib,
            self.written_bytes_a_span,
            self.refused,
            self.spans
        );
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// A quantile, in milliseconds.
pub fn quantile_ms(ns: &Histogram<u64>, share: f64) -> f64 {
    ns.value_at_quantile(share) as f64 / 1e6
}

/// The median.
pub fn median(values: &mut [f64]) -> anyhow::Result<f64> {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() / 2)
        .copied()
        .context("no measured values")
}
