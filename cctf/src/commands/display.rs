//! What a person sees while the load runs, and the words on how the spans fared.

use std::io::IsTerminal;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use cctf_load::exchange::Progress;
use cctf_load::export::Delivery;

/// A progress line on standard error; nothing if that is no terminal.
pub struct ProgressLine {
    bar: Option<ProgressBar>,
}

impl ProgressLine {
    /// A line for a drive of `name` with about `requests` requests.
    pub fn new(name: &str, requests: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(requests);
            if let Ok(style) =
                ProgressStyle::with_template("{prefix:>8} [{bar:30}] {pos}/{len} sent, {msg}  {eta}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        Self { bar }
    }

    /// Shows the counters.
    pub fn show(&self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        let (due, ended) = (
            progress.due.load(Ordering::Relaxed),
            progress.ended.load(Ordering::Relaxed),
        );
        bar.set_position(due);
        let failed = progress.failed.load(Ordering::Relaxed);
        bar.set_message(format!(
            "{} under way, {failed} failed",
            due.saturating_sub(ended)
        ));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One sentence on spans that the collector does not have; None if it has them all.
pub fn loss_sentence(delivery: &Delivery) -> Option<String> {
    let lost = delivery.lost();
    if lost == 0 {
        return None;
    }
    let why = delivery
        .last_error
        .as_deref()
        .unwrap_or("the collector did not answer in time");
    Some(format!(
        "{lost} of the driver's {} spans were lost ({} refused, {} found the queue full), so the trace of this run is \
         incomplete: {why}; make room at the collector or lower --rate, and run it again",
        delivery.made, delivery.rejected, delivery.dropped
    ))
}
