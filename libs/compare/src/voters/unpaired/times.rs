//! [`waits`] and [`responses`]: voters for quantiles by module, without the part that the simulator explains.

use std::collections::BTreeMap;

use super::runs::Unpaired;
use crate::gather::{Side, UNKNOWN, known};
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, outcome_of};
use crate::statistics::quantile::{self, Sorted};
use crate::statistics::{TooShort, mean};
use crate::voters::candidate::{Candidate, Figures, NS_PER_MS};
use crate::voters::times::{
    Explained, RESPONSES, SIMULATED_SHARE_MIN, WAITS, response_ns, share_of, wait_ns,
};

/// Voters for quantiles of each module's waits. `too_short` has the modules for whose queue a run is too short.
pub fn waits(runs: &Unpaired<'_>, too_short: &BTreeMap<u32, TooShort>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, numbers) in runs.common() {
        let times = [0, 1].map(|place: usize| {
            let rows = &runs.sides[place].rows.invocations;
            let simulated = runs.simulated.map(|simulated| &simulated[place].waits);
            let time = |&number: &u32| {
                let wait = wait_ns(&rows[number as usize])?;
                Some((wait, simulated.map_or(UNKNOWN, |waits| waits[number as usize])))
            };
            numbers[place].iter().filter_map(time).collect::<Vec<_>>()
        });
        let responses = numbers[0].iter().filter_map(|&number| {
            known(runs.sides[0].rows.invocations[number as usize].response_ns).map(|ns| ns as f64 / NS_PER_MS)
        });
        let response = mean::of(&responses.collect::<Vec<f64>>()).unwrap_or(0.0);
        let name = runs.names.text(module).to_owned();
        found.extend(quantiles(
            runs,
            &times,
            response,
            (&WAITS, Explained::Whole),
            Some(name),
            too_short.get(&module).copied(),
        ));
    }
    found
}

/// Voters for quantiles of the responses to requests from outside.
pub fn responses(runs: &Unpaired<'_>, too_short: Option<TooShort>) -> Vec<Candidate> {
    let is_inferred = |side: &Side| {
        let mut roots = side.tree.roots.iter();
        roots.any(|&root| side.rows.calls[root as usize].is_inferred)
    };
    let at_receiver = runs.sides.iter().any(is_inferred);
    let times = [0, 1].map(|place: usize| {
        let side = &runs.sides[place];
        let simulated = runs.simulated.map(|simulated| &simulated[place].response_waits);
        let is_answered = |root: &&u32| !is_chance(outcome_of(side, **root));
        let time = |&root: &u32| {
            let response = response_ns(side, root, at_receiver)?;
            let waits = simulated.and_then(|waits| known(waits[root as usize]));
            Some((response, waits.map_or(UNKNOWN, |waits| response - waits)))
        };
        let roots = side.tree.roots.iter().filter(is_answered);
        roots.filter_map(time).collect::<Vec<_>>()
    });
    let response = mean::of(
        &times[0]
            .iter()
            .map(|(ns, _)| *ns as f64 / NS_PER_MS)
            .collect::<Vec<_>>(),
    );
    let kind = (RESPONSES.as_slice(), Explained::Waits);
    quantiles(runs, &times, response.unwrap_or(0.0), kind, None, too_short)
}

/// The times of one run.
struct Series {
    /// Times of all requests.
    recorded: Sorted,
    /// Times of the simulated requests: recorded times, then simulated times or the rest. `None` if there are too few.
    explained: Option<[Sorted; 2]>,
}

impl Series {
    fn new(times: &[(i64, i64)]) -> Result<Self, TooShort> {
        let sorted = |times: &mut dyn Iterator<Item = i64>| {
            let times: Vec<f64> = times.map(|ns| ns as f64 / NS_PER_MS).collect();
            Sorted::new(&times)
        };
        let simulated = || times.iter().filter(|(_, simulated)| *simulated != UNKNOWN);
        let is_simulated = simulated().count() as f64 >= SIMULATED_SHARE_MIN * times.len() as f64;
        let of_simulated = || -> Result<[Sorted; 2], TooShort> {
            let recorded = sorted(&mut simulated().map(|times| times.0))?;
            Ok([recorded, sorted(&mut simulated().map(|times| times.1))?])
        };
        Ok(Self {
            recorded: sorted(&mut times.iter().map(|times| times.0))?,
            explained: is_simulated.then(of_simulated).transpose()?,
        })
    }
}

fn quantiles(
    runs: &Unpaired<'_>,
    times: &[Vec<(i64, i64)>; 2],
    mean_response: f64,
    (quantiles, how): (&[(Topic, f64)], Explained),
    module: Option<String>,
    too_short: Option<TooShort>,
) -> Vec<Candidate> {
    if times.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let series = Series::new(&times[0]).and_then(|a| Ok([a, Series::new(&times[1])?]));
    let is_simulated = series
        .as_ref()
        .is_ok_and(|series| series.iter().all(|of| of.explained.is_some()));
    let candidate = |&(topic, q): &(Topic, f64)| {
        let of = |place: usize| {
            series
                .as_ref()
                .ok()
                .map(|series| series[place].recorded.quantile(q))
        };
        let explained = |place: usize| {
            let series = series.as_ref().ok().filter(|_| is_simulated)?;
            series[place].explained.as_ref()
        };
        let by_simulation = explained(0).zip(explained(1)).map(|(a, b)| {
            let of = |kind: usize| b[kind].quantile(q) - a[kind].quantile(q);
            how.part(of(0), of(1))
        });
        let figures = Figures {
            topic,
            module: module.clone(),
            unit: Unit::Ms,
            a: of(0),
            b: of(1),
            explained: by_simulation,
            margin: runs
                .margins
                .of_time(share_of(runs.margins, topic), of(0).unwrap_or(0.0), mean_response),
            requests: times[0].len().min(times[1].len()) as u64,
        };
        let estimate = |place: usize| {
            let series = series.as_ref().map_err(|short| *short)?;
            match explained(place) {
                Some([_, rest]) if how == Explained::Waits => quantile::sum(&[(rest, 1.0)], q),
                Some([recorded, simulated]) => quantile::sum(&[(recorded, 1.0), (simulated, -1.0)], q),
                None => quantile::sum(&[(&series[place].recorded, 1.0)], q),
            }
        };
        let estimate = match too_short {
            Some(short) => Err(short),
            None => estimate(1).and_then(|b| Ok(b.minus(estimate(0)?))),
        };
        Candidate::estimated(figures, estimate)
    };
    quantiles.iter().map(candidate).collect()
}
