//! [`Perfetto`]: exports a run as a timeline for the trace viewer Perfetto, in its binary format `TrackEvent`. A *slice* is a bar
//! in the timeline. A *track* is a line with slices, or with the values of a counter.
//!
//! - [`wire`] declares the messages, and [`packets`] writes them.
//! - [`lanes`] and [`tracks`] assign slices to tracks so that they do not overlap.
//! - [`chosen`] selects what is exported. [`slices`] writes invocations and calls, [`outside`] calls from outside, and
//!   [`counters`] samples of hosts and services.

mod chosen;
mod counters;
mod lanes;
mod outside;
mod packets;
mod slices;
mod tracks;
mod wire;

use std::path::Path;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

use chosen::Chosen;
use packets::Packets;
use slices::Slices;
use tracks::Tracks;

/// Name of the file. Perfetto recognizes the format by its content.
const TRACE_FILE: &str = "trace.pftrace";

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct Perfetto;

impl Target for Perfetto {
    const NAME: &'static str = "perfetto";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let mut chosen = Chosen::new(source, job)?;
        let mut packets = Packets::create(&job.path(TRACE_FILE)?, chosen.first_ns)?;
        let mut tracks = Tracks::new(source);
        let mut slices = Slices::new(source, &chosen.works);
        slices.waits(&mut packets, &mut tracks)?;
        slices.services(&mut packets, &mut tracks)?;
        let from_outside = outside::write(source, &chosen, &mut packets, &mut tracks)?;
        let samples = counters::write(source, &chosen, &mut packets, &mut tracks)?;
        let negative = packets.negative;
        packets.finish()?;

        // The calls of the plan are not counted here, because inferred calls have no row and calls from outside are not in the
        // plan.
        chosen.counts.calls = slices.calls + from_outside.calls;
        chosen.counts.messages = slices.messages + from_outside.messages;
        job.assumptions.rows(source);
        job.assumptions.left_out(source);
        notes(job, &slices, &tracks, negative);
        let lost = from_outside.inner.saturating_sub(slices.calls);
        job.assumptions.add(
            "calls_left_out",
            false,
            lost,
            "call is left out, because the invocation that made it is",
            "calls are left out, because the invocations that made them are",
        );
        job.assumptions.add(
            "samples_left_out",
            false,
            samples.left_out,
            "sample of a counter is left out: its instance has no invocations, its line is damaged, or there are too many counters",
            "samples of counters are left out: their instances have no invocations, their lines are damaged, or there are too many counters",
        );
        Ok(chosen.counts)
    }

    fn next(&self, out: &Path) -> String {
        format!(
            "open {} at https://ui.perfetto.dev",
            out.join(TRACE_FILE).display()
        )
    }
}

fn notes(job: &mut Job<'_>, slices: &Slices<'_>, tracks: &Tracks<'_>, negative: u64) {
    let assumptions = &mut job.assumptions;
    assumptions.add(
        "more_than_slots",
        false,
        tracks.beyond_slots,
        "invocation has a further track, because all slots of its instance are in use: calls can release slots, and clocks are not exact",
        "invocations have further tracks, because all slots of their instance are in use: calls can release slots, and clocks are not exact",
    );
    assumptions.add(
        "backward_arrows",
        false,
        slices.backward,
        "call starts after the invocation that it caused has arrived, by the clocks of their nodes: its arrow points backwards",
        "calls start after the invocations that they caused have arrived, by the clocks of their nodes: their arrows point backwards",
    );
    assumptions.add(
        "negative_time",
        false,
        negative,
        "timestamp is before 1970 and counts as 1970",
        "timestamps are before 1970 and count as 1970",
    );
}
