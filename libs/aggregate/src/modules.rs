//! [`ModuleStats`]: statistics of a module from a run's rows, for module_inventory.json.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use cctf_proto::cctf::Percentiles;

use crate::ids::{InstanceId, ModuleId, NameId};
use crate::maps::{Map, Set};

/// Maximum number of endpoints of a module in a run. All further endpoints count as one endpoint without method and route.
pub const ENDPOINTS_MAX: usize = 256;
/// Two significant digits give percentiles that are exact to 1%.
const HISTOGRAM_DIGITS: u8 = 2;

/// Statistics of one endpoint: a method and route.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndpointStats {
    pub calls: u64,
    #[serde(with = "as_counts")]
    service_micros: Histogram<u32>,
    /// Sum and number of CPU times, nanoseconds.
    pub cpu_ns: Mean,
    /// Body bytes received.
    pub bytes_in: Mean,
    /// Body bytes sent.
    pub bytes_out: Mean,
}

/// A sum and the number of its terms.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    /// Adds a term, if it is known.
    pub fn add(&mut self, term: Option<u64>) {
        if let Some(term) = term {
            self.sum = self.sum.saturating_add(term);
            self.count += 1;
        }
    }

    /// Adds the terms of another mean.
    pub fn merge(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.count += other.count;
    }

    /// The sum of the known terms.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The mean of the known terms.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// A module within a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ModuleStats {
    pub instances: Set<InstanceId>,
    pub invocations: u64,
    pub is_called: bool,
    pub makes_calls: bool,
    /// CPU time of its invocations, nanoseconds.
    pub cpu_ns: Mean,
    /// CPU time of its processes since the run's start, from metrics, nanoseconds.
    pub process_cpu_ns: Mean,
    /// By endpoint. `None` stands for all endpoints beyond the maximum.
    pub endpoints: Map<Option<NameId>, EndpointStats>,
    /// Number of calls, by the module called.
    pub calls: Map<ModuleId, u64>,
    /// Bytes of requests and answers of the calls whose callee reported them.
    pub call_bytes: Map<ModuleId, Mean>,
}

/// The figures of one invocation.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct InvocationFacts {
    /// `None` if the endpoint is beyond the maximum.
    pub endpoint: Option<NameId>,
    /// Service time, nanoseconds.
    pub service_ns: Option<i64>,
    /// CPU time, nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Body bytes received.
    pub bytes_in: Option<u64>,
    /// Body bytes sent.
    pub bytes_out: Option<u64>,
}

/// Estimated bytes of the fixed parts of a module and of an endpoint, and of one entry of their maps.
const STATS_BYTES: u64 = 512;
const ENTRY_BYTES: u64 = 48;

impl ModuleStats {
    /// Size in memory, bytes.
    pub fn bytes(&self) -> u64 {
        let histograms = self
            .endpoints
            .values()
            .map(|of| of.service_micros.distinct_values());
        let histograms: usize = histograms.sum();
        let entries = self.instances.len() + self.calls.len() + self.call_bytes.len();
        (1 + self.endpoints.len() as u64) * STATS_BYTES
            + (histograms * size_of::<u32>()) as u64
            + entries as u64 * ENTRY_BYTES
    }

    /// Adds an invocation to the figures of the whole module.
    pub fn add_to_totals(&mut self, facts: &InvocationFacts) {
        self.invocations += 1;
        self.cpu_ns.add(facts.cpu_ns);
    }

    pub fn add(&mut self, facts: &InvocationFacts) {
        self.add_to_totals(facts);
        if let Some(known) = self.endpoints.get_mut(&facts.endpoint) {
            return known.add(facts);
        }
        let is_own = self.endpoints.len() < ENDPOINTS_MAX;
        let endpoint = facts.endpoint.filter(|_| is_own);
        self.endpoints.entry(endpoint).or_default().add(facts);
    }
}

/// Serializes a histogram as its values and their counts.
mod as_counts {
    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(histogram: &Histogram<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        let recorded = histogram.iter_recorded();
        let counts: Vec<(u64, u32)> = recorded
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
            .collect();
        serializer.collect_seq(counts)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram<u32>, D::Error> {
        let counts = Vec::<(u64, u32)>::deserialize(deserializer)?;
        let mut histogram = Histogram::new(super::HISTOGRAM_DIGITS).map_err(D::Error::custom)?;
        for (value, count) in counts {
            histogram.record_n(value, count).map_err(D::Error::custom)?;
        }
        Ok(histogram)
    }
}

impl Default for EndpointStats {
    fn default() -> Self {
        // Only the number of digits could be refused. The range of the histogram starts at 1 us and grows as needed.
        #[allow(clippy::expect_used, reason = "a constant in the library's range")]
        let service_micros = Histogram::new(HISTOGRAM_DIGITS).expect("2 digits are in 0 to 5");
        Self {
            calls: 0,
            service_micros,
            cpu_ns: Mean::default(),
            bytes_in: Mean::default(),
            bytes_out: Mean::default(),
        }
    }
}

impl EndpointStats {
    pub fn add(&mut self, facts: &InvocationFacts) {
        self.calls += 1;
        if let Some(ns) = facts.service_ns {
            // The histogram grows as needed; it refuses only values that cannot be service times.
            let _ = self.service_micros.record((ns / 1000).max(0) as u64);
        }
        self.cpu_ns.add(facts.cpu_ns);
        self.bytes_in.add(facts.bytes_in);
        self.bytes_out.add(facts.bytes_out);
    }

    /// Adds the invocations of another endpoint's statistics.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        // Both have the same digits and grow as needed, so nothing is refused.
        let _ = self.service_micros.add(&other.service_micros);
        self.cpu_ns.merge(other.cpu_ns);
        self.bytes_in.merge(other.bytes_in);
        self.bytes_out.merge(other.bytes_out);
    }

    /// Percentiles of the service time.
    pub fn service_ms(&self) -> Option<Percentiles> {
        let at = |quantile| self.service_micros.value_at_quantile(quantile) as f64 / 1000.0;
        (!self.service_micros.is_empty()).then(|| Percentiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        })
    }
}
