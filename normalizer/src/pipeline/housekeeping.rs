//! Work that depends on time: it closes runs and parts, writes snapshots, and removes old state.

use aggregate::ids::RunId;

use super::Pipeline;
use super::output::Output;
use super::requests::TRACE_RUN_WINDOWS;
use super::shared::facts::OpenedRun;
use super::shared::parts::OpenPart;
use super::snapshots;

/// Interval at which the tables that change slowly are counted.
const INVENTORY_INTERVAL_NS: u64 = 1_000_000_000;
/// Number of join windows after which a closed and silent run can have no waiting rows.
const RESOLVED_WINDOWS: u64 = 4 * TRACE_RUN_WINDOWS;

impl Pipeline {
    pub(super) fn run_housekeeping(&mut self, output: &mut Output) {
        let now = self.shared.clock.now;
        let (window_ns, idle_ns) = (self.shared.windows.join_ns, self.shared.windows.idle_ns);
        let before_window = now.saturating_sub(window_ns);
        self.placement.expire(&mut self.shared, output);
        self.metrics
            .expire_samples(before_window, &mut self.shared, output);
        self.announce_opened(output);
        self.write_seconds(before_window, output);
        // A row may wait for a second window, for an undecided ancestor.
        let windows = if self.requests.has_extended_rows() { 2 } else { 1 };
        if !self.shared.settings.keeps_runs_open {
            for run in self.shared.runs.due_to_close(now, windows * window_ns, idle_ns) {
                self.close_run(run, output);
            }
        }
        self.requests.expire_runs_of_traces(&self.shared);
        let resolved_before = now.saturating_sub(RESOLVED_WINDOWS * window_ns);
        self.shared.runs.forget_old(resolved_before);
        if now >= self.inventories_at {
            self.inventories_at = now + INVENTORY_INTERVAL_NS;
            self.shared.inventory_bytes = self.metrics.bytes() + self.shared.bytes();
        }
        snapshots::write_due(&mut self.shared, output);
    }

    /// For all links of all runs, writes the rows of the seconds that were opened before `opened_before`.
    fn write_seconds(&mut self, opened_before: u64, output: &mut Output) {
        for run in self.shared.runs.with_seconds() {
            snapshots::write_seconds(run, opened_before, &mut self.shared, output);
        }
    }

    /// Closes a run, after writing everything that is still missing in its files.
    fn close_run(&mut self, run: RunId, output: &mut Output) {
        self.placement.infer_starts_of(run, &mut self.shared, output);
        snapshots::write_seconds(run, u64::MAX, &mut self.shared, output);
        let (now, totals) = (self.shared.clock.now, self.shared.totals.clone());
        self.shared.runs[run].close(now, totals);
        snapshots::write(run, &mut self.shared, output);
    }

    /// Closes the parts that are large or old enough, and opens the next ones.
    pub(super) fn roll_runs(&mut self, output: &mut Output) {
        let (now, limits) = (self.shared.clock.now, self.shared.roll);
        for run in self.shared.runs.due_to_roll(now, limits) {
            self.roll_run(run, output);
        }
    }

    fn roll_run(&mut self, run: RunId, output: &mut Output) {
        self.placement.infer_starts_of(run, &mut self.shared, output);
        let shared = &mut self.shared;
        let next = shared.runs.next_part(run);
        let of = &mut shared.runs[run];
        of.part.ended_unix_ns = Some(of.part.last_row_unix_ns.max(of.started()));
        if of.totals_at_close.is_some() {
            of.totals_at_close = Some(shared.totals.clone());
        }
        snapshots::write(run, shared, output);

        let is_newest = shared.runs.newest == run;
        let of = &mut shared.runs[run];
        // If a part is opened for rows after the run's end, it starts at that end.
        let ended = of.ended_unix_ns.unwrap_or(u64::MAX);
        let started = shared.clock.last_unix_ns.min(ended);
        output.run(run, &of.part.of).rolled_to = Some(next.clone());
        of.part = OpenPart::new(next, Some(started), shared.clock.now);
        of.part.totals_at_open = shared.totals.clone();
        of.announced.clear();
        of.dirty = true;
        of.snapshot_at = 0;
        output.run(run, &of.part.of).latest = is_newest;
        if of.is_live() {
            let opened = OpenedRun {
                run,
                started_unix_ns: of.started(),
            };
            self.placement.announce_living(opened, &mut self.shared, output);
            self.shared.runs[run].part.bytes = 0;
        }
    }

    /// Writes all waiting rows with the facts known so far, and closes all runs.
    pub(super) fn shut_down(&mut self, output: &mut Output) {
        self.requests.expire_rows(u64::MAX, &mut self.shared, output);
        self.announce_opened(output);
        self.placement.infer_starts(&mut self.shared, output);
        self.metrics.expire_samples(u64::MAX, &mut self.shared, output);
        self.announce_opened(output);
        let live: Vec<RunId> = self.shared.runs.live().collect();
        for run in live {
            self.shared.runs[run].suspend();
            self.close_run(run, output);
        }
        self.close_accounts(output);
        self.write_seconds(u64::MAX, output);
        snapshots::write_all(&mut self.shared, output);
    }

    /// Opens and closes the normalizer's own run if there were spans that belong to no other run. It has no rows. So `latest`
    /// still links to another run, if there is one.
    fn close_accounts(&mut self, output: &mut Output) {
        let shared = &mut self.shared;
        if !shared.has_unplaced() {
            return;
        }
        let own = shared.runs.own_id().to_owned();
        let newest = shared.runs.newest;
        let is_first = shared.runs.is_empty();
        let Ok((run, true)) = shared.runs.open(&own, false, shared.clock.now, output) else {
            return;
        };
        let of = &mut shared.runs[run];
        of.started_unix_ns = shared.clock.last_unix_ns;
        of.part.totals_at_open = shared.totals.clone();
        of.suspend();
        if !is_first {
            output.run(run, &of.part.of).latest = false;
            shared.runs.newest = newest;
        }
        shared.place_accounts(run);
        self.close_run(run, output);
    }
}
