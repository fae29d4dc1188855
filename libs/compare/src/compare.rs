//! [`compare`]: reads two runs, pairs their requests, computes all voters, and derives the verdict. A voter is a figure that
//! takes part in the verdict.

use analyze::counted::counted;
use analyze::intervals::RELAXATIONS_MIN;
use cctf_proto::cctf::Part;
use rundir::parts::Run;

use crate::attribution;
use crate::gather::{self, CompareError, Names, Progress, Side};
use crate::margins::Margins;
use crate::model::{Comparison, ConfigurationDifference, Pairing, PairingKind, RunFacts, Verdict, Voter};
use crate::pairing::{Differences, Pairs, match_roots, pair};
use crate::pairs::{Paired, Simulated};
use crate::shown::shown;
use crate::simulated;
use crate::stations::{shortest, too_short};
use crate::verdict::verdict;
use crate::voters::unpaired::Unpaired;
use crate::voters::{Candidate, arrivals, decide, graph, means, slots, times, unpaired};

/// Minimum length of a paired run for quantiles of waits and responses, in relaxation times. Paired runs have the same
/// arrivals, so a shorter run is enough than for independent runs (docs/statistics.md).
const PAIRED_RELAXATIONS_MIN: f64 = 50.0;

/// Settings of a comparison.
#[derive(Debug, Clone)]
pub struct Options {
    pub margins: Margins,
    /// Number of threads. The result does not depend on it.
    pub threads: usize,
}

/// Compares two runs, each from the given part on.
///
/// # Errors
/// If a file cannot be read, or a run has no or too many rows.
pub fn compare(
    runs: [(&Run, &Part); 2],
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Comparison, CompareError> {
    let (sides, names) = gather::both(runs, options.threads, on_progress)?;
    let mut notes = notes(&sides);
    let pairs = match_roots(&sides[0], &sides[1]).map(|roots| pair(&sides[0], &sides[1], roots));
    let mut loads = match simulated::loads(runs, &sides, &names) {
        Ok(loads) => Some(loads),
        Err(error) => {
            notes.push(format!(
                "waits are compared as recorded, without a simulation: {error}"
            ));
            None
        }
    };
    let simulated = loads.as_mut().map(|loads| {
        let (simulated, misfits) = simulated::simulate(loads, &sides);
        notes.extend(misfits);
        simulated
    });
    let configuration = slots::configuration(&sides[0].facts, &sides[1].facts);
    let all = Everything {
        sides: &sides,
        names: &names,
        margins: &options.margins,
        simulated: simulated.as_ref(),
        configuration: &configuration,
    };
    let (voters, differences, pairing) = match &pairs {
        Some(pairs) => all.paired(pairs, &mut notes),
        None => all.unpaired(&mut notes),
    };
    let verdict = verdict(&voters, &configuration);
    let attributions = match &loads {
        Some(loads) if !matches!(verdict, Verdict::Same) => {
            let pairs = pairs.as_ref().map(|pairs| pairs.invocations.as_slice());
            attribution::between(loads, &sides, pairs, options.threads)
        }
        _ => Vec::new(),
    };
    Ok(Comparison {
        verdict,
        a: facts(&sides[0], runs[0]),
        b: facts(&sides[1], runs[1]),
        shown: shown(&sides, &names, pairing.kind == PairingKind::Paired),
        pairing,
        voters,
        graph: differences.list,
        graph_left_out: differences.left_out,
        configuration,
        attributions,
        notes,
        margins: options.margins,
    })
}

/// The data from which the voters are computed.
struct Everything<'s> {
    sides: &'s [Side; 2],
    names: &'s Names,
    margins: &'s Margins,
    simulated: Option<&'s [Simulated; 2]>,
    configuration: &'s [ConfigurationDifference],
}

impl Everything<'_> {
    fn slots(&self) -> Vec<Candidate> {
        slots::slots(&self.sides[0].facts, &self.sides[1].facts, self.configuration)
    }

    /// Whether root responses can be compared, although they contain network times. If not, adds a note with the reason.
    fn has_same_network(&self, notes: &mut Vec<String>) -> bool {
        let [a, b] = self
            .sides
            .each_ref()
            .map(|side| side.facts.replay_network.as_deref());
        if a == b {
            return true;
        }
        let name = if a.is_some() { "A" } else { "B" };
        notes.push(format!(
            "root responses do not vote: the stand-ins of {name} ran on one machine, without the delays of the recorded links"
        ));
        false
    }

    fn paired(&self, pairs: &Pairs, notes: &mut Vec<String>) -> (Vec<Voter>, Differences, Pairing) {
        let differences = pairs.tally.finish(self.names);
        let paired = Paired::new(self.sides, self.names, self.margins, pairs, self.simulated);
        let too_short = too_short(self.sides, self.names, PAIRED_RELAXATIONS_MIN);
        let requests = pairs.roots.pairs.len() as u64;
        let mut candidates = arrivals::arrivals(&paired);
        candidates.extend(graph::graph(&differences, requests));
        candidates.extend(means::failures(&paired));
        candidates.extend(graph::random(&paired, self.names, &differences.random));
        candidates.extend(self.slots());
        candidates.extend(means::services(&paired));
        candidates.extend(means::externals(&paired));
        candidates.extend(means::cpu_times(&paired));
        candidates.extend(means::cpu_waits(&paired));
        candidates.extend(means::wakeups(&paired));
        candidates.extend(times::waits(&paired, &too_short));
        if self.has_same_network(notes) {
            candidates.extend(times::responses(&paired, shortest(&too_short)));
        }
        let roots = &pairs.roots;
        let pairing = Pairing {
            kind: PairingKind::Paired,
            roots: requests,
            invocations: pairs.invocations.len() as u64,
            calls: pairs.calls.len() as u64,
            roots_only_a: roots.only_a.len() as u64,
            roots_only_b: roots.only_b.len() as u64,
            roots_outside: roots.outside,
            roots_not_replayable: roots.not_replayable,
        };
        notes.extend(pairing_notes(pairs));
        (decide(candidates), differences, pairing)
    }

    fn unpaired(&self, notes: &mut Vec<String>) -> (Vec<Voter>, Differences, Pairing) {
        notes.push(
            "neither run replays the other one: requests are compared by module and endpoint, not one by one"
                .to_owned(),
        );
        let too_short = too_short(self.sides, self.names, RELAXATIONS_MIN);
        let runs = Unpaired::new(self.sides, self.names, self.margins, self.simulated);
        let (edges, differences) = unpaired::calls(&runs);
        let mut candidates = arrivals::lateness(self.sides.each_ref(), [true; 2], self.margins);
        candidates.extend(unpaired::arrivals(&runs, notes));
        candidates.extend(edges);
        candidates.extend(unpaired::statuses(&runs));
        candidates.extend(unpaired::failures(&runs));
        candidates.extend(self.slots());
        candidates.extend(unpaired::services(&runs));
        candidates.extend(unpaired::externals(&runs));
        candidates.extend(unpaired::cpu_times(&runs));
        candidates.extend(unpaired::cpu_waits(&runs));
        candidates.extend(unpaired::wakeups(&runs));
        candidates.extend(unpaired::waits(&runs, &too_short));
        if self.has_same_network(notes) {
            candidates.extend(unpaired::responses(&runs, shortest(&too_short)));
        }
        (decide(candidates), differences, Pairing::default())
    }
}

fn notes(sides: &[Side; 2]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, side) in ["A", "B"].into_iter().zip(sides) {
        let all = [
            (
                side.rows.damaged,
                "line is no row and is left out",
                "lines are no rows and are left out",
            ),
            (
                side.tree.orphans.len() as u64,
                "row has no caller in these files and is not compared in pairs",
                "rows have no caller in these files and are not compared in pairs",
            ),
            (
                side.rows.sampled,
                "row represents several requests, and counts once",
                "rows represent several requests, and count once each",
            ),
            (
                side.tree.duplicates,
                "row repeats the ids of another row, so its calls may not be found; cctf validate shows it",
                "rows repeat the ids of other rows, so their calls may not be found; cctf validate shows them",
            ),
            (
                side.rows.early,
                "call has a negative lateness, which counts as 0; cctf validate shows it",
                "calls have a negative lateness, which counts as 0; cctf validate shows them",
            ),
        ];
        found.extend(sentences(&all).map(|sentence| format!("{name}: {sentence}")));
        found.extend(side.notes.iter().map(|note| format!("{name}: {note}")));
        if side.is_open {
            found.push(format!("{name}: the run has not ended, so more rows may follow"));
        }
    }
    found
}

/// One sentence for each count that is not 0. The two texts are for a count of one and for others.
fn sentences(counts: &[(u64, &str, &str)]) -> impl Iterator<Item = String> {
    let some = counts.iter().filter(|(count, ..)| *count > 0);
    some.map(|(count, one, more)| counted(*count, one, more))
}

fn pairing_notes(pairs: &Pairs) -> Vec<String> {
    let all = [
        (
            pairs.roots.outside,
            "request is outside of the part that the other run replays",
            "requests are outside of the part that the other run replays",
        ),
        (
            pairs.roots.not_replayable,
            "job, message or other request from outside cannot be sent again over HTTP",
            "jobs, messages and other requests from outside cannot be sent again over HTTP",
        ),
        (
            pairs.too_deep,
            "call is too deep in its trace and is not compared",
            "calls are too deep in their trace and are not compared",
        ),
    ];
    sentences(&all).collect()
}

fn facts(side: &Side, (run, first): (&Run, &Part)) -> RunFacts {
    RunFacts {
        run_id: side.facts.run_id.clone(),
        path: run.folder(first).display().to_string(),
        replay_of: side.facts.replay_of.clone(),
        simulated_by: side.facts.simulated_by.clone(),
        started_ms: side.facts.started_ms,
        is_open: side.is_open,
        invocations: side.rows.invocations.len() as u64,
        calls: side.calls,
        roots: side.tree.roots.len() as u64,
        duration_ms: side.duration_ns() as f64 / 1e6,
        damaged: side.rows.damaged,
    }
}
