//! [`Rebuilt`]: feeds the traces that are rebuilt from call graphs to the pipeline, after all files have been read.

use std::sync::atomic::Ordering;

use anyhow::bail;
use bytes::Bytes;
use cctf_normalizer::journal::Signal;
use cctf_normalizer::offline::{CheckedRequest, Offline};

use crate::alibaba::rows::At;
use crate::alibaba::{CallGraph, Done, Notes, Sink};
use crate::data_sets::place_of;
use crate::job::{Job, Progress, feed};
use crate::place::Damages;
use crate::tally::Tally;

pub struct Rebuilt<'r, 'j> {
    pub offline: &'r mut Offline,
    pub tally: &'r mut Tally,
    pub job: &'r mut Job<'j>,
    /// Names of the files, by their numbers.
    pub files: &'r [String],
}

impl Rebuilt<'_, '_> {
    /// Rebuilds all traces. `notes` are the assumptions so far.
    ///
    /// # Errors
    /// If a file cannot be written, or the user has interrupted.
    pub fn feed_all(&mut self, call_graph: CallGraph, mut notes: Notes) -> anyhow::Result<()> {
        notes.unite(&call_graph.finish(self)?);
        for (name, meaning, count, first) in notes.counts() {
            self.tally
                .assume(name, meaning, count, || place_of(self.files, first));
        }
        Ok(())
    }

    fn damages(&mut self) -> &mut Damages {
        &mut self.tally.damages
    }
}

impl Sink for Rebuilt<'_, '_> {
    fn take(&mut self, request: Bytes, at: At, done: Done) -> anyhow::Result<()> {
        if self.job.stop.load(Ordering::Relaxed) {
            bail!("interrupted; nothing was written");
        }
        (self.job.on_progress)(Progress {
            phase: "rebuild",
            done: done.rows,
            total: done.total,
        });
        let place = || place_of(self.files, at);
        match CheckedRequest::new(Signal::Traces, request) {
            Ok(request) => feed(self.offline, self.tally, request, place),
            Err(error) => {
                let reason = format!("cannot convert the traces from this row on: {error}");
                let place = place();
                self.damages().add(place, reason);
                Ok(())
            }
        }
    }

    fn leave_out(&mut self, at: At, reason: &'static str) {
        let place = place_of(self.files, at);
        self.damages().add(place, reason.to_owned());
    }
}
