//! [`Checks`]: all checks of a replay to stand-ins before the first request: refusals, notes and the preview.

use std::collections::HashMap;

use cctf_proto::cctf::{File, Node, WHOLE_BYTES_MAX, reason};
use plan::roots::Preview;
use replay::stand_in::by_root::ByRoot;
use replay::stand_in::paths::{Repeat, Stations};
use replay::stand_in::probes::{ProbeError, probe};
use replay::stand_in::scan::Scan;
use replay::stand_in::speeds::{SpeedError, factors};
use rundir::RunFolder;
use serde_json::value::RawValue;
use standin::{Probe, StandIns};

use super::args::{Keep, ReplayArgs};
use super::preview::{
    EndpointLine, ReplayPreview, StandInFacts, dropped_orphans, length_note, length_s, rate,
};
use super::recording::{Recording, lacks};
use crate::commands::UsageError;
use crate::commands::cells::{counted, printable};

/// A stand-in that is missing in the file is a usage error. One that does not answer is a failure.
pub(super) fn as_usage(error: ProbeError) -> anyhow::Error {
    match error {
        ProbeError::Missing { .. } | ProbeError::Url { .. } => UsageError(error.to_string()).into(),
        _ => error.into(),
    }
}

/// The facts that are known before the first request.
pub(super) struct Checks<'a> {
    pub args: &'a ReplayArgs,
    pub recording: &'a Recording,
    pub by_root: &'a ByRoot,
    pub scan: &'a Scan,
    pub preview: &'a Preview,
    /// Sentences about the stand-ins.
    pub notes: Vec<String>,
}

impl Checks<'_> {
    /// Refuses a run without requests. With --strict, also refuses a run if anything would be left out or replaced.
    pub fn requests(&self) -> anyhow::Result<()> {
        let run_id = printable(&self.recording.roots.run_id);
        if self.args.strict {
            let counts = &self.by_root.plan.counts;
            let tally = &self.scan.tally;
            let left_out = [
                counts.calls_left_out + counts.invocations_left_out,
                tally.callees_left_out,
                tally.cut_times,
                tally.cut_bodies,
            ];
            let mut found: Vec<String> = self
                .not_sent()
                .into_iter()
                .map(|(what, count)| format!("{count} {what}"))
                .collect();
            let limited: u64 = left_out.iter().sum();
            if limited > 0 {
                found.push(format!(
                    "{} above the limits of a plan",
                    counted(limited, "object")
                ));
            }
            found.extend(self.recording.roots.notes.iter().map(|note| printable(note)));
            if !found.is_empty() {
                anyhow::bail!(
                    "cannot replay {run_id} with --strict: it has {}",
                    found.join(", ")
                );
            }
        }
        if self.scan.requests == 0 {
            let mut reasons = self
                .not_sent()
                .into_iter()
                .map(|(what, count)| format!("{count} {what}"));
            let first = reasons.next();
            let rest: String = reasons.map(|reason| format!(", {reason}")).collect();
            let why = first.unwrap_or_else(|| "nothing is in the chosen part".to_owned());
            let lacks = lacks(&self.recording.roots);
            let lacks = lacks.map_or_else(String::new, |lacks| {
                format!(", and rows are missing: {lacks}; restore them")
            });
            anyhow::bail!("cannot replay {run_id}: it has no request for stand-ins ({why}{rest}){lacks}");
        }
        Ok(())
    }

    /// Number of roots that are not sent, by reason.
    fn not_sent(&self) -> Vec<(&'static str, u64)> {
        let recording = self.recording;
        let selection = self.args.selection.for_stand_ins(recording.seed);
        let orphans = dropped_orphans(&recording.roots, self.preview, &selection);
        let unplanned = self.preview.window.without_invocation + self.scan.unplanned;
        let refused = self.scan.refused.values().sum();
        let reasons = [
            ("orphans", orphans),
            ("without a recorded invocation", unplanned),
            ("with a plan that no stand-in executes", refused),
        ];
        reasons.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Asks all stand-ins to describe themselves. Returns the factors for CPU times; empty if these stay as recorded.
    pub fn stand_ins(&mut self, stand_ins: &StandIns) -> anyhow::Result<Vec<f64>> {
        if self.args.dry_run {
            return Ok(Vec::new());
        }
        let probes = probe(stand_ins).map_err(as_usage)?;
        let remedy = "start it with more --workers, or with --slot-policy released";
        self.paths(stand_ins, &probes, remedy)?;
        let factors = self.factors(stand_ins, &probes)?;
        factors.map_err(|error| UsageError(error.to_string()).into())
    }

    /// Refuses stand-ins that do not have enough slots for a single request. Adds a note about stand-ins that have just enough.
    /// `remedy` is the remedy in the error.
    pub fn paths(&mut self, stand_ins: &StandIns, probes: &[Probe], remedy: &str) -> anyhow::Result<()> {
        let stations = Stations::new(self.by_root, stand_ins, probes);
        for repeat in self.scan.repeats(self.by_root, &stations) {
            let text = repeat_text(&repeat);
            if repeat.is_impossible() {
                anyhow::bail!(
                    "cannot replay {}: {text}; {remedy}",
                    printable(&self.recording.roots.run_id)
                );
            }
            self.notes.push(format!(
                "{text}: requests that wait for each other's slots can block until their timeouts"
            ));
        }
        Ok(())
    }

    /// The factors for CPU times on stand-ins of these speeds; empty if CPU times stay as recorded.
    pub fn factors(
        &self,
        stand_ins: &StandIns,
        probes: &[Probe],
    ) -> anyhow::Result<Result<Vec<f64>, SpeedError>> {
        if self.args.keep == Keep::Time {
            return Ok(Ok(Vec::new()));
        }
        let recorded = self.recorded_speeds()?;
        Ok(factors(
            self.by_root,
            &self.scan.is_used,
            &recorded,
            stand_ins,
            probes,
        ))
    }

    /// The speed of each node, in million instructions per second and core. If parts differ, the last one counts.
    fn recorded_speeds(&self) -> anyhow::Result<HashMap<String, f64>> {
        let Recording { run, part, .. } = self.recording;
        let mut speeds = HashMap::new();
        for part in run.parts_from(part)? {
            let folder = RunFolder::open(&run.folder(&part))?;
            // If the file is missing, the speeds of its nodes are unknown. This is reported later, with a remedy.
            let Some(bytes) = folder.whole(File::Nodes, WHOLE_BYTES_MAX)? else {
                continue;
            };
            let nodes: Vec<Node<'_>> = serde_json::from_slice(&bytes).map_err(|error| {
                anyhow::anyhow!(
                    "cannot read {}: {}; cctf validate shows its faults, and --keep time needs no speeds",
                    folder.path(File::Nodes).display(),
                    reason(&error)
                )
            })?;
            for node in &nodes {
                if let Some(mips) = node.mips_per_core {
                    speeds.insert(node.node_id.to_string(), mips);
                }
            }
        }
        Ok(speeds)
    }

    pub fn preview(&self, stand_ins: &StandIns, plan: Box<RawValue>) -> ReplayPreview {
        let (scan, flags) = (self.scan, &self.args.selection);
        let target = |module: &str| {
            let mut of_module = stand_ins.instances().iter().filter(|each| each.module == module);
            of_module.next().map(|first| match of_module.count() {
                0 => first.url.clone(),
                more => format!("{} and {more} more", first.url),
            })
        };
        let endpoints = scan.endpoints.iter();
        let mut endpoints: Vec<EndpointLine> = endpoints
            .map(|([module, method, route], requests)| EndpointLine {
                module: module.clone(),
                method: method.clone(),
                route: route.clone(),
                requests: requests.count,
                body_bytes: Some([requests.min_bytes, requests.max_bytes].map(u64::from)),
                target: target(module),
            })
            .collect();
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.requests));
        let status = |(status, count): (&Option<i64>, &u64)| {
            let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            (status, *count)
        };
        ReplayPreview {
            replay_of: self.recording.roots.run_id.clone(),
            requests: scan.requests,
            length_s: length_s(self.preview),
            rate: rate(self.preview, scan.requests),
            speed: flags.speed(),
            scale: flags.scale().map(|(factor, _)| factor),
            by: flags.scale().map(|(_, by)| by),
            seed: self.recording.seed,
            endpoints,
            statuses: scan.statuses.iter().map(status).collect(),
            not_sent: self.not_sent().into_iter().collect(),
            filler: 0,
            values_stored: 0,
            notes: self.all_notes(),
            stand_in: Some(StandInFacts {
                bodies: scan.tally.bodies,
                larger_bodies: scan.tally.larger,
                larger_bytes: scan.tally.larger_bytes,
                retries: scan.tally.retries,
                plan,
            }),
        }
    }

    fn all_notes(&self) -> Vec<String> {
        let (roots, tally) = (&self.recording.roots, &self.scan.tally);
        let mut notes = roots.notes.clone();
        let other_kinds = self.scan.other_kinds.iter();
        notes.extend(
            other_kinds.map(|(kind, count)| {
                format!("{} recorded as {kind}: sent as POST", counted(*count, "request"))
            }),
        );
        let mut note = |count: u64, what: &str, text: &str| {
            if count > 0 {
                notes.push(format!("{} {text}", counted(count, what)));
            }
        };
        note(
            self.scan.other_endpoints,
            "request",
            "to further endpoints, which the table does not show",
        );
        note(
            tally.retries,
            "call",
            "that repeat an earlier one: sent only if that one fails",
        );
        note(
            tally.cpu_unknown,
            "invocation",
            "without CPU time: the stand-in waits for the whole own time",
        );
        note(tally.cut_times, "time", "above one hour: cut to one hour");
        note(tally.cut_bodies, "body size", "above 64 MiB: cut to 64 MiB");
        note(
            tally.callees_left_out,
            "invocation",
            "beyond the first 1,024 of one call: left out with everything below",
        );
        for (reason, count) in &self.scan.refused {
            notes.push(format!("{} not sent: {reason}", counted(*count, "request")));
        }
        if tally.larger > 0 {
            notes.push(format!(
                "{} of the {} request bodies are larger than recorded, because their plan is: {} bytes more in total",
                tally.larger, tally.bodies, tally.larger_bytes
            ));
        }
        notes.extend(length_note(self.preview));
        notes.extend(self.notes.iter().cloned());
        notes
    }
}

/// Describes how many slots of a module one request holds on a path.
fn repeat_text(repeat: &Repeat) -> String {
    let slots = match repeat.slots {
        1 => "1 slot".to_owned(),
        slots => format!("{slots} slots"),
    };
    format!(
        "a request needs {} slots of one stand-in of module {:?} at the same time ({}), and it has {slots}",
        repeat.times,
        printable(&repeat.module),
        printable(&repeat.path)
    )
}
