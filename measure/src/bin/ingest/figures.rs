//! What was measured of one receiver: a line for whoever watches, and a line of JSON for the table.

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
    /// Which measurement it is.
    pub part: &'static str,
    /// Who was measured.
    pub subject: &'static str,
    /// Size of the requests.
    pub spans_a_request: usize,
    /// Spans that were sent, each taken.
    pub spans: u64,
    /// CPU time of the receiver's process.
    pub cpu_us_a_span: f64,
    /// From the first request to the last row on disk.
    pub spans_a_second: f64,
    /// From when a request was to be sent to its acknowledgement.
    pub ack_ms_p50: f64,
    /// As above.
    pub ack_ms_p99: f64,
    /// From the acknowledgement of the last span that a row waits for to the row read from its file.
    pub readable_ms_p50: Option<f64>,
    /// As above.
    pub readable_ms_p99: Option<f64>,
    /// The most memory that the process had at once.
    pub peak_mib: f64,
    /// What the process gave to the disks.
    pub written_bytes_a_span: f64,
    /// Requests that were refused, and sent again.
    pub refused: u64,
}

impl Figures {
    /// Of a load that took so much CPU time and wrote so many bytes, complete after `took`.
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

    /// Prints it: JSON to standard output, words to standard error.
    ///
    /// # Errors
    /// If it cannot be put into JSON.
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

/// The time below which such a share of them lies, milliseconds.
pub fn quantile_ms(ns: &Histogram<u64>, share: f64) -> f64 {
    ns.value_at_quantile(share) as f64 / 1e6
}

/// The middle of some values.
///
/// # Errors
/// If there are none.
pub fn median(values: &mut [f64]) -> anyhow::Result<f64> {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() / 2)
        .copied()
        .context("nothing was measured")
}
