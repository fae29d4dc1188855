//! [`sheet`]: a comparison as sentences and tables.

use compare::model::{Cause, Comparison, PairingKind, RunFacts, Undecided, Verdict, Voter};
use page::number::{counted, duration};
use report::sheet::{Sheet, Sign};

use super::tables::tables;
use super::values::{NS_PER_MS, about, difference, interval, margin};

/// Number of causes or undecided voters in the headline. The tables show all.
const HEADLINE_MAX: usize = 1;

/// `false_alarms` is a sentence about this machine's noise, if there is one.
pub fn sheet(found: &Comparison, false_alarms: Option<String>) -> Sheet {
    let (sign, headline) = headline(found);
    let mut sentences = vec![meaning(&found.verdict).to_owned()];
    sentences.extend(more_causes(found));
    sentences.push(side("A", &found.a));
    sentences.push(side("B", &found.b));
    sentences.push(pairing(found));
    sentences.extend(false_alarms);
    Sheet {
        verdict: found.verdict.text().to_owned(),
        sign: Some(sign),
        headline,
        sentences,
        tables: tables(found),
        notes: found.notes.clone(),
    }
}

fn headline(found: &Comparison) -> (Sign, String) {
    let word = found.verdict.text();
    match &found.verdict {
        Verdict::Same => {
            let voters = counted(found.voters.len() as u64, "voter is", "voters are");
            (Sign::Good, format!("{word}: {voters} inside of the margins"))
        }
        Verdict::Differs { causes } => {
            let first = causes.first().map(|cause| cause_text(cause, &found.voters));
            let more = causes.len().saturating_sub(HEADLINE_MAX) as u64;
            let more = match more {
                0 => String::new(),
                more => format!("; {}", counted(more, "further cause", "further causes")),
            };
            (Sign::Bad, format!("{word}: {}{more}", first.unwrap_or_default()))
        }
        Verdict::CannotTell { reasons } => (Sign::Warning, format!("{word}: {}", undecided(reasons))),
        Verdict::Void { reason } => (Sign::Bad, format!("{word}: {reason}")),
    }
}

/// A cause with its figures. If its voter has an interval, the voter's figures are shown, because chance plays a part.
fn cause_text(cause: &Cause, voters: &[Voter]) -> String {
    let is_it = |voter: &&Voter| voter.topic == cause.topic && voter.module == cause.module;
    let voter = voters
        .iter()
        .find(is_it)
        .filter(|voter| voter.interval.is_some() && !cause.is_exact);
    let Some(voter) = voter else {
        return cause.text.clone();
    };
    format!(
        "{} {}, 90% interval {}, margin {}",
        cause.topic.text_of(cause.module.as_deref()),
        difference(voter),
        interval(voter),
        margin(voter)
    )
}

/// The undecided voters, and how many requests would be enough to decide all of them.
fn undecided(reasons: &[Undecided]) -> String {
    let Some(first) = reasons
        .iter()
        .max_by_key(|reason| reason.needed.unwrap_or(u64::MAX))
    else {
        return "there is no voter".to_owned();
    };
    let mut text = first.topic.text_of(first.module.as_deref());
    match reasons.len().saturating_sub(HEADLINE_MAX) as u64 {
        0 => text += " is undecided",
        more => {
            text += &format!(
                " and {} are undecided",
                counted(more, "further voter", "further voters")
            )
        }
    }
    match first.needed {
        Some(needed) => text + &format!("; about {} requests would decide", about(needed)),
        None => text + &format!("; {}", first.reason),
    }
}

fn meaning(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Same => {
            "B is the same workload as A within the margins. If a difference were larger than its margin, this verdict would \
             nominally occur in at most 5% of comparisons."
        }
        Verdict::Differs { causes } if causes.first().is_some_and(|cause| cause.is_exact) => {
            "B is not the same workload as A. The first cause is a fact of the recorded rows: chance plays no part in it."
        }
        Verdict::Differs { .. } => {
            "B is not the same workload as A: at least one difference is larger than its margin. If all were smaller, this verdict \
             would nominally occur in at most 5% of comparisons."
        }
        Verdict::CannotTell { .. } => {
            "These runs neither show that B is the same workload as A, nor that it differs. This is no sign of sameness."
        }
        Verdict::Void { .. } => {
            "The load driver was late, so the runs have different arrivals for a reason that is not the workload. Repeat the late run, \
             with an idle CPU for the driver."
        }
    }
}

/// The causes after the first one.
fn more_causes(found: &Comparison) -> Option<String> {
    /// Maximum number of causes in the sentence. The table of voters shows the others.
    const CAUSES_MAX: usize = 4;
    let Verdict::Differs { causes } = &found.verdict else {
        return None;
    };
    let texts: Vec<String> = causes
        .iter()
        .skip(HEADLINE_MAX)
        .take(CAUSES_MAX)
        .map(|cause| cause_text(cause, &found.voters))
        .collect();
    let more = causes.len().saturating_sub(HEADLINE_MAX + texts.len());
    let more = if more > 0 {
        format!("; {more} more")
    } else {
        String::new()
    };
    (!texts.is_empty()).then(|| format!("Further causes: {}{more}.", texts.join("; ")))
}

fn side(name: &str, run: &RunFacts) -> String {
    let replay = match (&run.replay_of, &run.simulated_by) {
        (Some(original), None) => format!(", a replay of {original}"),
        (Some(original), Some(simulator)) => format!(", a simulation of {original} by {simulator}"),
        (None, Some(simulator)) => format!(", a simulation by {simulator}"),
        (None, None) => String::new(),
    };
    format!(
        "{name} is the run {}{replay}: {}, {} in {}.",
        run.run_id,
        counted(run.roots, "request", "requests"),
        counted(run.invocations, "invocation", "invocations"),
        duration(run.duration_ms * NS_PER_MS)
    )
}

fn pairing(found: &Comparison) -> String {
    let pairing = &found.pairing;
    match pairing.kind {
        PairingKind::Paired => {
            let mut text = format!(
                "Paired request by request: {}, {} and {}",
                counted(pairing.roots, "request", "requests"),
                counted(pairing.invocations, "invocation", "invocations"),
                counted(pairing.calls, "call", "calls")
            );
            for (count, what) in [
                (pairing.roots_only_a, "only in A"),
                (pairing.roots_only_b, "only in B"),
            ] {
                if count > 0 {
                    text += &format!("; {} {what}", counted(count, "request is", "requests are"));
                }
            }
            text + "."
        }
        PairingKind::Unpaired => {
            "Not paired: figures are compared by module and endpoint, as those of independent runs."
                .to_owned()
        }
    }
}
