//! [`RATES`]: the rates and response times of instances in the data sets of Alibaba.

/// A rate or time of an instance.
pub struct Rate {
    /// Its column in 2022; in 2021, a value of the column `metrics`, in any case.
    pub column: &'static str,
    /// Its name in `system_stats.jsonl`.
    pub metric: &'static str,
    /// The name of a rate of calls in 2022. Times are not normalised.
    pub normalized: &'static str,
}

macro_rules! rates {
    ($($kind:literal),* $(,)?) => {
        &[$(
            Rate {
                column: concat!($kind, "_mcr"),
                metric: concat!("alibaba.", $kind, "_mcr"),
                normalized: concat!("alibaba.", $kind, "_mcr.normalized"),
            },
            Rate {
                column: concat!($kind, "_rt"),
                metric: concat!("alibaba.", $kind, "_rt"),
                normalized: concat!("alibaba.", $kind, "_rt"),
            },
        )*]
    };
}

/// All rates and times of both years.
pub const RATES: &[Rate] = rates![
    "providerrpc",
    "consumerrpc",
    "providermq",
    "consumermq",
    "readmc",
    "writemc",
    "readdb",
    "writedb",
    "http",
];
