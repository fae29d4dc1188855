//! [`Responses`]: response times by module, with 95% intervals of their means.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, ensure};

use super::traces::Traces;

/// Quantile of the normal distribution for a 95% interval.
const Z: f64 = 1.96;

/// For each module, the mean response time in each trace, ms. The key is the trace id in the recording.
pub struct Responses(BTreeMap<String, BTreeMap<String, f64>>);

/// A mean, and half of the length of its interval.
#[derive(Debug, Clone, Copy)]
pub struct Mean {
    pub ms: f64,
    pub error_ms: f64,
}

impl Responses {
    /// The response times of a run. Every trace must have the same number of invocations of a module, so that the mean over
    /// traces is the mean over invocations.
    pub fn of(traces: &Traces) -> anyhow::Result<Self> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut responses: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for (id, trace) in &traces.0 {
            let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
            for invocation in &trace.invocations {
                let (sum, count) = sums.entry(&invocation.module).or_default();
                *sum += invocation.response_ms;
                *count += 1;
            }
            for (module, (sum, count)) in sums {
                let usual = *counts.entry(module).or_insert(count);
                ensure!(
                    count == usual,
                    "trace {id} has {count} requests to {module}, others have {usual}"
                );
                let of_module = responses.entry(module.to_owned()).or_default();
                of_module.insert(id.clone(), sum / count as f64);
            }
        }
        Ok(Self(responses))
    }

    /// The mean response of each module.
    pub fn means(&self) -> Vec<(String, Mean)> {
        let modules = self.0.iter();
        let means = modules.map(|(module, values)| (module.clone(), Mean::of(values.values().copied())));
        means.collect()
    }

    /// Differences between the means of this run and those of another run with other requests.
    pub fn moved_from(&self, other: &Self) -> anyhow::Result<Vec<(String, Mean)>> {
        let mut moved = Vec::new();
        for (module, after) in self.means() {
            let before = other
                .0
                .get(&module)
                .with_context(|| format!("only one run has {module}"))?;
            let before = Mean::of(before.values().copied());
            moved.push((
                module,
                Mean {
                    ms: after.ms - before.ms,
                    error_ms: after.error_ms.hypot(before.error_ms),
                },
            ));
        }
        Ok(moved)
    }

    /// Differences between the means of this run and those of another run with the same requests.
    pub fn paired_from(&self, other: &Self) -> anyhow::Result<Vec<(String, Mean)>> {
        ensure!(self.0.len() == other.0.len(), "the runs have other modules");
        let mut moved = Vec::new();
        for (module, after) in &self.0 {
            let before = other
                .0
                .get(module)
                .with_context(|| format!("only one run has {module}"))?;
            let differences = after.iter().map(|(id, after)| Some(after - before.get(id)?));
            let differences = differences.collect::<Option<Vec<f64>>>();
            let differences =
                differences.with_context(|| format!("{module}: the runs have other requests"))?;
            moved.push((module.clone(), Mean::of(differences.into_iter())));
        }
        Ok(moved)
    }
}

impl Mean {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let ms = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|value| (value - ms).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        Self {
            ms,
            error_ms: Z * deviation / count.sqrt(),
        }
    }
}

/// With the flag `+`, the text is a difference with its sign.
impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ms, error_ms } = self;
        if f.sign_plus() {
            write!(f, "{ms:+.2} ± {error_ms:.2} ms")
        } else {
            write!(f, "{ms:.2} ± {error_ms:.2} ms")
        }
    }
}
