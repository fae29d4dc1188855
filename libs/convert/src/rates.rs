//! [`RATES`]: the rates and response times of instances in the data sets of Alibaba.

/// A rate or time of an instance.
pub struct Rate {
    /// Name of the column in the tables of 2022. In the tables of 2021, it is a value of the column `metrics`, in upper or lower
    /// case.
    pub column: &'static str,
    /// The metric in `system_stats.jsonl` if the values are not normalised.
    pub metric: &'static str,
    /// The metric in `system_stats.jsonl` for the tables of 2022, whose rates of calls are normalised. Times are not normalised,
    /// so they have the same name.
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
