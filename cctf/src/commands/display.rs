//! Progress on a terminal, and the warning about lost spans.

use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cctf_load::otlp::export::Delivery;
use cctf_load::progress::DriveProgress;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// The progress line of the load driver on standard error. Nothing is shown if standard error is not a terminal.
pub struct ProgressLine {
    bar: Option<ProgressBar>,
    begun: Instant,
    length: Duration,
}

impl ProgressLine {
    /// `name` is an endpoint, or `replay`; `length` is the time for which requests are scheduled.
    pub fn new(name: &str, requests: u64, length: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(requests);
            // The bar fills the width that the text leaves.
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{wide_bar}] {pos}/{len} sent, {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        Self {
            bar,
            begun: Instant::now(),
            length,
        }
    }

    pub fn show(&self, progress: &DriveProgress) {
        let Some(bar) = &self.bar else { return };
        let left = self.length.saturating_sub(self.begun.elapsed());
        bar.set_position(progress.sent.load(Ordering::Relaxed));
        bar.set_message(counts(progress, left));
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Counts and remaining time, short enough for a terminal of 80 columns.
fn counts(progress: &DriveProgress, left: Duration) -> String {
    format!(
        "{} late, {} in flight, {} failed, {:#} left",
        progress.late.load(Ordering::Relaxed),
        progress.in_flight(),
        progress.failed.load(Ordering::Relaxed),
        HumanDuration(left)
    )
}

/// A progress bar on standard error for bytes read, or for other things. Nothing is shown if standard error is not a terminal.
pub struct BytesBar {
    bar: Option<ProgressBar>,
}

impl BytesBar {
    pub fn new() -> Self {
        Self::with_template("{prefix:>8} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}")
    }

    /// Counts `things` instead of bytes.
    pub fn of(things: &str) -> Self {
        Self::with_template(&format!("{{prefix:>8}} [{{bar:30}}] {{pos}}/{{len}} {things}"))
    }

    fn with_template(template: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar }
    }

    /// A function that adds up the bytes it is called with, and shows the sum.
    pub fn counter(&self, phase: &'static str, total: u64) -> impl FnMut(u64) {
        let mut done = 0;
        move |bytes| {
            done = (done + bytes).min(total);
            self.show(phase, done, total);
        }
    }

    pub fn show(&self, phase: &str, done: u64, total: u64) {
        let Some(bar) = &self.bar else { return };
        bar.set_prefix(phase.to_owned());
        bar.set_length(total);
        bar.set_position(done);
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A sentence about spans that the receiver has not accepted; `None` if it has accepted all.
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
        "{lost} of the driver's {} spans were lost ({} rejected, {} dropped because the queue was full), so this run's trace \
         is incomplete: {why}; give the collector more capacity or lower --rate, and repeat the run",
        delivery.made, delivery.rejected, delivery.dropped
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_a_long_replay_fits_into_80_columns() {
        let progress = DriveProgress::default();
        for (counter, value) in [
            (&progress.sent, 1_000_064),
            (&progress.ended, 1_000_000),
            (&progress.late, 12),
            (&progress.failed, 34),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
        let text = counts(&progress, Duration::from_secs(59 * 60));
        assert_eq!(text, "12 late, 64 in flight, 34 failed, 59m left");
        assert!("replay [] 1000064/2000000 sent, ".len() + text.len() <= 80);
    }
}
