//! The metrics page in Prometheus' text format.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;

use super::sources::{SIGNALS, Sources};
use crate::pipeline::PipelineCounters;

pub(super) fn render(sources: &Sources) -> String {
    let mut page = Page::default();
    receiver(sources, &mut page);
    let held = sources.journal.queue_usage();
    page.family(
        "cctf_queue_requests",
        "gauge",
        "Requests in the queue between receiver and pipeline.",
    );
    page.sample("cctf_queue_requests", &[], held.requests);
    page.family("cctf_queue_bytes", "gauge", "Bytes of the requests in the queue.");
    page.sample("cctf_queue_bytes", &[], held.bytes);
    page.family(
        "cctf_disk_full",
        "gauge",
        "1 while requests are refused because a disk is full, otherwise 0.",
    );
    page.sample("cctf_disk_full", &[], u8::from(sources.journal.is_disk_full()));
    page.family(
        "cctf_journal_records_total",
        "counter",
        "Journal records processed by the pipeline.",
    );
    page.sample("cctf_journal_records_total", &[], sources.progress.records());
    pipeline(&sources.progress.counters(), &mut page);
    page.family(
        "cctf_written_bytes_total",
        "counter",
        "Bytes of lines and snapshots written.",
    );
    page.sample("cctf_written_bytes_total", &[], sources.progress.bytes_written());
    page.text
}

fn receiver(sources: &Sources, page: &mut Page) {
    let counters = &sources.counters;
    page.family("cctf_requests_total", "counter", "Requests accepted.");
    for (signal, name) in SIGNALS {
        let requests = counters.signal(signal).requests.load(Ordering::Relaxed);
        page.sample("cctf_requests_total", &[("signal", name)], requests);
    }
    page.family(
        "cctf_received_bytes_total",
        "counter",
        "Bytes of accepted messages after decompression.",
    );
    for (signal, name) in SIGNALS {
        let bytes = counters.signal(signal).bytes.load(Ordering::Relaxed);
        page.sample("cctf_received_bytes_total", &[("signal", name)], bytes);
    }
    page.family(
        "cctf_received_rows_total",
        "counter",
        "Spans, data points and log records received.",
    );
    for (signal, name) in SIGNALS {
        let rows = counters.signal(signal).rows.load(Ordering::Relaxed);
        page.sample("cctf_received_rows_total", &[("signal", name)], rows);
    }
    page.family(
        "cctf_rejected_rows_total",
        "counter",
        "Rows rejected by the receiver, by reason.",
    );
    for (signal, name) in SIGNALS {
        for (reason, count) in counters.signal(signal).rejected().filter(|(_, count)| *count > 0) {
            let labels = [("signal", name), ("reason", reason.as_str())];
            page.sample("cctf_rejected_rows_total", &labels, count);
        }
    }
    page.family(
        "cctf_refused_requests_total",
        "counter",
        "Requests refused as a whole, by reason.",
    );
    for (reason, count) in counters.refused() {
        page.sample("cctf_refused_requests_total", &[("reason", reason)], count);
    }
}

fn pipeline(counters: &PipelineCounters, page: &mut Page) {
    for (name, help, value) in [
        (
            "cctf_duplicates_total",
            "Duplicate spans and data points.",
            counters.duplicates,
        ),
        (
            "cctf_unknown_node_total",
            "Spans from an unknown node.",
            counters.unknown_node,
        ),
    ] {
        page.family(name, "counter", help);
        page.sample(name, &[], value);
    }
    page.family(
        "cctf_evicted_rows_total",
        "counter",
        "Rows written early because the memory limit was reached.",
    );
    page.sample("cctf_evicted_rows_total", &[], counters.rows_evicted);
    page.family(
        "cctf_memory_limit_bytes",
        "gauge",
        "Memory limit of tables and queue.",
    );
    page.sample("cctf_memory_limit_bytes", &[], counters.memory_limit);
    page.family("cctf_memory_bytes", "gauge", "Memory in use, by table.");
    for (table, bytes) in &counters.memory {
        page.sample("cctf_memory_bytes", &[("table", table)], bytes);
    }
    page.family(
        "cctf_unwritten_rows_total",
        "counter",
        "Rows that the pipeline rejected, by reason.",
    );
    for (reason, count) in &counters.rejected {
        page.sample("cctf_unwritten_rows_total", &[("reason", reason)], count);
    }
    for (name, help, value) in [
        ("cctf_runs_open", "Open runs.", counters.runs_open),
        (
            "cctf_rows_held",
            "Rows waiting for the spans they depend on.",
            counters.rows_held,
        ),
        (
            "cctf_spans_joining",
            "Spans that can still become the caller of a row.",
            counters.spans_joining,
        ),
        (
            "cctf_spans_remembered",
            "Spans whose duplicates are still detected.",
            counters.spans_remembered,
        ),
    ] {
        page.family(name, "gauge", help);
        page.sample(name, &[], value);
    }
}

/// The text of the page. Writing to a String cannot fail. Label values need no escaping, because all of them are constants.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, of)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{of}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}
