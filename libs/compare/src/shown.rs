//! [`shown`]: figures that are shown but do not vote.

use std::collections::{BTreeMap, BTreeSet};

use crate::gather::{Names, Outcome, Side, UNKNOWN, known};
use crate::model::{Shown, Unit};
use crate::statistics::distance::{correlation, kolmogorov_smirnov, smape};
use crate::statistics::mean;

/// Number of time intervals for which the busy slots of both runs are compared.
const INTERVALS: usize = 100;
const NS_PER_MS: f64 = 1e6;
/// The lowest status that counts as an error.
const ERROR_STATUS: i32 = cctf_proto::cctf::ERROR_STATUS as i32;

/// The figures of a module in one run.
#[derive(Debug, Default)]
struct Module {
    waits: Vec<f64>,
    responses: Vec<f64>,
    requests: u64,
    errors: u64,
    bytes_in: Mean,
    bytes_out: Mean,
    network: Mean,
    /// Busy time in each interval, ns.
    busy: Vec<f64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: i64, scale: f64) {
        if let Some(value) = known(value) {
            self.sum += value as f64 / scale;
            self.count += 1;
        }
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The figures of all modules. `is_paired` states whether both runs have the same arrivals.
pub fn shown(sides: &[Side; 2], names: &Names, is_paired: bool) -> Vec<Shown> {
    let [mut a, mut b] = [&sides[0], &sides[1]].map(modules);
    let all: BTreeSet<u32> = a.keys().chain(b.keys()).copied().collect();
    let mut found = Vec::new();
    for module in all {
        let of = [
            a.remove(&module).unwrap_or_default(),
            b.remove(&module).unwrap_or_default(),
        ];
        figures(&of, names.text(module), is_paired, &mut found);
    }
    found
}

fn figures(of: &[Module; 2], module: &str, is_paired: bool, found: &mut Vec<Shown>) {
    let mut add = |name: &'static str, unit: Unit, sides: [Option<f64>; 2], both: Option<f64>| {
        if sides.iter().chain([&both]).any(Option::is_some) {
            found.push(Shown {
                module: Some(module.to_owned()),
                name,
                unit,
                a: sides[0],
                b: sides[1],
                both,
            });
        }
    };
    let [a, b] = of;
    let sides = |figure: &dyn Fn(&Module) -> Option<f64>| [figure(a), figure(b)];
    add(
        "requests",
        Unit::Count,
        sides(&|of| Some(of.requests as f64)),
        None,
    );
    let errors = |of: &Module| (of.requests > 0).then(|| of.errors as f64 / of.requests as f64);
    add("errors", Unit::Share, sides(&errors), None);
    add(
        "wait distance (KS)",
        Unit::Number,
        [None; 2],
        kolmogorov_smirnov(&a.waits, &b.waits),
    );
    add(
        "response distance (KS)",
        Unit::Number,
        [None; 2],
        kolmogorov_smirnov(&a.responses, &b.responses),
    );
    add("busy slots", Unit::Number, sides(&|of| mean::of(&of.busy)), None);
    if is_paired {
        add(
            "busy slots correlation",
            Unit::Number,
            [None; 2],
            correlation(&a.busy, &b.busy),
        );
        add(
            "busy slots sMAPE",
            Unit::Share,
            [None; 2],
            smape(&a.busy, &b.busy),
        );
    }
    add("request size", Unit::Bytes, sides(&|of| of.bytes_in.get()), None);
    add("answer size", Unit::Bytes, sides(&|of| of.bytes_out.get()), None);
    add("network time", Unit::Ms, sides(&|of| of.network.get()), None);
}

fn modules(side: &Side) -> BTreeMap<u32, Module> {
    let mut found: BTreeMap<u32, Module> = BTreeMap::new();
    let start = side
        .tree
        .roots
        .first()
        .map_or(0, |&root| side.root_start_ns(root));
    let interval = (side.duration_ns() as f64 / INTERVALS as f64).max(1.0);
    for row in &side.rows.invocations {
        let module = found.entry(row.module).or_insert_with(|| Module {
            busy: vec![0.0; INTERVALS],
            ..Module::default()
        });
        module.requests += 1;
        module.errors += u64::from(match row.outcome {
            Outcome::Status(status) => status >= ERROR_STATUS,
            Outcome::Text(_) | Outcome::NoAnswer(_) => true,
            Outcome::Silent => false,
        });
        module
            .waits
            .extend(known(row.wait_ns).map(|ns| ns as f64 / NS_PER_MS));
        module
            .responses
            .extend(known(row.response_ns).map(|ns| ns as f64 / NS_PER_MS));
        module.bytes_in.add(row.bytes_in, 1.0);
        module.bytes_out.add(row.bytes_out, 1.0);
        module.network.add(row.net_ns, NS_PER_MS);
        if row.service_ns != UNKNOWN {
            let end = row.end_ns.saturating_sub(start) as f64;
            add_busy(&mut module.busy, [end - row.service_ns as f64, end], interval);
        }
    }
    for module in found.values_mut() {
        module.waits.sort_unstable_by(f64::total_cmp);
        module.responses.sort_unstable_by(f64::total_cmp);
        for busy in &mut module.busy {
            *busy /= interval;
        }
    }
    found
}

/// Adds the time from `start` to `end` to each interval that it covers.
fn add_busy(busy: &mut [f64], [start, end]: [f64; 2], interval: f64) {
    let last = busy.len() as f64 * interval;
    let (mut from, end) = (start.clamp(0.0, last), end.clamp(0.0, last));
    while from < end {
        let place = ((from / interval) as usize).min(busy.len() - 1);
        let until = ((place + 1) as f64 * interval).min(end);
        busy[place] += until - from;
        if until <= from {
            break;
        }
        from = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_spread_over_its_intervals() {
        let mut busy = vec![0.0; 4];
        add_busy(&mut busy, [5.0, 25.0], 10.0);
        add_busy(&mut busy, [-5.0, 3.0], 10.0);
        add_busy(&mut busy, [38.0, 99.0], 10.0);
        assert_eq!(busy, [8.0, 10.0, 5.0, 2.0]);
    }
}
