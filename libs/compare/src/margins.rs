//! [`Margins`]: the largest differences that are ignored, and the TOML file that overrides some of them.

use std::path::{Path, PathBuf};

use cli::bounded;
use rundir::regular;
use serde::Serialize;
use toml_edit::{Document, Item};

/// Maximum size of the file, bytes. A file with all margins has about 1 KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Maximum margin of a time, ms: an hour. No client waits longer for a request.
const MS_MAX: f64 = 3_600_000.0;

/// Declares the margins: name, default, unit, source.
macro_rules! margins {
    ($($(#[$doc:meta])* $name:ident = $default:literal, $unit:literal, $source:literal;)*) => {
        /// The largest differences that are ignored. docs/compare.md has the same table.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize)]
        pub struct Margins {
            $($(#[$doc])* pub $name: f64,)*
        }

        impl Default for Margins {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Margins {
            /// Name, default, unit and source of each margin, in the order of the documentation.
            pub const ALL: &'static [Margin] = &[$(Margin {
                name: stringify!($name), default: $default, unit: $unit, source: $source,
            },)*];

            /// The value by its name in the file.
            fn value_mut(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }

            /// Name and value of each margin.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, f64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

/// A margin as documented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    pub name: &'static str,
    pub default: f64,
    /// `share`, `ms`, `calls`.
    pub unit: &'static str,
    /// The reason for the default.
    pub source: &'static str,
}

margins! {
    /// Maximum 99th percentile of lateness. Above it, the verdict is void.
    lateness_p99_ms = 5.0, "ms", "the driver's 99th percentile is below 0.5 ms at 20,000 requests per second; ten times that is a driver without enough CPU";
    /// Maximum lateness of a single request. Above it, the verdict is void.
    lateness_max_ms = 100.0, "ms", "a stopped driver sends its requests in one burst, which fills every queue";
    /// Paired roots: share of A's arrival rate.
    arrival_rate = 0.005, "share", "1 % more arrivals lengthen the mean wait of M/M/1 by 7 % at a utilization of 0.85";
    /// Paired roots: maximum 99th percentile of the deviation from the recorded offset, ms.
    arrival_offset_ms = 5.0, "ms", "as lateness_p99_ms";
    /// Unpaired runs: share of A's arrival rate.
    arrival_rate_unpaired = 0.05, "share", "the rates of two Poisson runs of 5,000 requests differ with a standard deviation of 2 %";
    /// Difference between the shares of failed requests in the two runs.
    failure_share = 0.005, "share", "one failure more or less in two hundred requests";
    /// Unpaired runs: share of A's mean number of calls per invocation.
    calls_per_invocation = 0.02, "share", "as service_mean";
    /// Minimum margin for calls per invocation.
    calls_floor = 0.005, "calls", "one call in two hundred requests; without this minimum, the margin of a call that only B makes would be 0";
    /// Unpaired runs: margin of an endpoint's share of all requests from outside, relative to this share in A.
    endpoint_share = 0.1, "share", "a tenth more or fewer requests to an endpoint";
    /// Minimum margin for an endpoint's share.
    endpoint_share_floor = 0.01, "share", "one request in a hundred: in two runs of 5,000 requests, a share of 10 % differs with a standard deviation of 0.6 percentage points";
    /// Minimum margin for service and CPU times.
    mean_floor_ms = 0.01, "ms", "2 % of a service time of 0.1 ms is 2 us; CPU caches and frequency changes alone move it by that much";
    /// Share of A's mean.
    service_mean = 0.02, "share", "users do not notice 2 %; waits change by more (M/M/1: 8 % of p95 at a utilization of 0.7, 16 % at 0.85), and the output shows this change as the explained part of the difference";
    /// Share of A's mean.
    cpu_mean = 0.02, "share", "as service_mean";
    /// Share of A's mean. The minimum margins of waits also apply.
    cpu_wait_mean = 0.10, "share", "other programs of the machine change it; a mean wait of 20 to 50 us changed by 30 us between equal runs";
    /// Share of A's mean. The minimum margins of waits also apply.
    wakeup_mean = 0.10, "share", "scheduling of threads varies between runs; a simulation repeats wake-ups, so they need a voter of their own";
    /// Share of A's quantile.
    unexplained_wait_p50 = 0.05, "share", "what an operator calls the same latency";
    /// Share of A's quantile.
    unexplained_wait_p95 = 0.10, "share", "rarer values vary more";
    /// Share of A's quantile.
    unexplained_wait_p99 = 0.20, "share", "rarer values vary more";
    /// Share of A's quantile.
    response_p50 = 0.05, "share", "as unexplained_wait_p50";
    /// Share of A's quantile.
    response_p95 = 0.10, "share", "as unexplained_wait_p95";
    /// Minimum margin for waits and responses.
    floor_ms = 0.1, "ms", "scheduling of threads alone varies by this; at a utilization of 0.5, the median wait is nearly 0";
    /// Minimum margin for waits and responses, as a share of A's mean response time.
    floor_share = 0.01, "share", "a hundredth of the response time is not noticed";
}

/// The reason why a file of margins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MarginsError {
    #[error("cannot read {}: {source}; pass a TOML file of margins", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}: it is not UTF-8; pass a TOML file of margins", .0.display())]
    NotText(PathBuf),
    #[error("cannot read {}: {problem}", path.display())]
    Invalid { path: PathBuf, problem: Problem },
}

/// The error in the text of a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("line {line}: {text}; write one `name = number` in a line")]
    Syntax { line: usize, text: String },
    #[error("unknown margin {name:?}; choose among {}", names())]
    Unknown { name: String },
    #[error("invalid {name}: it is not a number; write {name} = {default}, for example")]
    NotANumber { name: String, default: f64 },
    #[error("invalid {name}: {value} is not from 0 to {max}; write {name} = {default}, for example")]
    OutOfRange {
        name: String,
        value: f64,
        max: f64,
        default: f64,
    },
}

fn names() -> String {
    let names: Vec<&str> = Margins::ALL.iter().map(|margin| margin.name).collect();
    names.join(", ")
}

impl Margins {
    /// Reads a file that overrides some margins. The others keep their defaults.
    ///
    /// # Errors
    /// If the file cannot be read or contains anything else.
    pub fn read(path: &Path) -> Result<Self, MarginsError> {
        let io = |source| MarginsError::Io {
            path: path.to_owned(),
            source,
        };
        let file = regular::open(path).map_err(io)?;
        let bytes = bounded::read(file, FILE_BYTES_MAX).map_err(io)?;
        let text = String::from_utf8(bytes).map_err(|_| MarginsError::NotText(path.to_owned()))?;
        Self::parse(&text).map_err(|problem| MarginsError::Invalid {
            path: path.to_owned(),
            problem,
        })
    }

    /// The margins of a TOML text.
    ///
    /// # Errors
    /// If it contains anything but margins.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let document = Document::parse(text).map_err(|error| {
            let begin = error.span().map_or(0, |span| span.start.min(text.len()));
            Problem::Syntax {
                line: text.as_bytes()[..begin]
                    .iter()
                    .filter(|&&byte| byte == b'\n')
                    .count()
                    + 1,
                text: error.message().to_owned(),
            }
        })?;
        let mut margins = Self::default();
        for (name, item) in document.iter() {
            let Some(place) = margins.value_mut(name) else {
                return Err(Problem::Unknown {
                    name: name.to_owned(),
                });
            };
            let Some(value) = number(item) else {
                return Err(Problem::NotANumber {
                    name: name.to_owned(),
                    default: *place,
                });
            };
            let max = max_of(name);
            if !(0.0..=max).contains(&value) {
                return Err(Problem::OutOfRange {
                    name: name.to_owned(),
                    value,
                    max,
                    default: *place,
                });
            }
            *place = value;
        }
        Ok(margins)
    }

    /// The margin of a mean service or CPU time, ms.
    pub fn of_mean(&self, share: f64, mean_ms: f64) -> f64 {
        (share * mean_ms).max(self.mean_floor_ms)
    }

    /// The margin of a wait or response time, ms: a share of A's quantile, but at least the minimum margin.
    pub fn of_time(&self, share: f64, quantile_ms: f64, mean_response_ms: f64) -> f64 {
        let floor = self.floor_ms.max(self.floor_share * mean_response_ms);
        (share * quantile_ms).max(floor)
    }
}

/// The maximum of a margin: 1 for a share, or [`MS_MAX`] for a time.
fn max_of(name: &str) -> f64 {
    let is_it = |margin: &&Margin| margin.name == name;
    match Margins::ALL.iter().find(is_it).map(|margin| margin.unit) {
        Some("ms") => MS_MAX,
        _ => 1.0,
    }
}

fn number(item: &Item) -> Option<f64> {
    item.as_float()
        .or_else(|| item.as_integer().map(|integer| integer as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_margins_that_it_names() {
        let margins = Margins::parse("# mine\nservice_mean = 0.05\nlateness_max_ms = 20\n").unwrap();
        let expected = Margins {
            service_mean: 0.05,
            lateness_max_ms: 20.0,
            ..Margins::default()
        };
        assert_eq!(margins, expected);
        assert_eq!(Margins::parse("").unwrap(), Margins::default());
    }

    #[test]
    fn an_invalid_file_is_refused_with_its_cause() {
        for (text, part) in [
            (
                "servce_mean = 1",
                "unknown margin \"servce_mean\"; choose among lateness_p99_ms",
            ),
            (
                "cpu_mean = \"2 %\"",
                "invalid cpu_mean: it is not a number; write cpu_mean = 0.02",
            ),
            ("cpu_mean = -1", "invalid cpu_mean: -1 is not"),
            ("cpu_mean = nan", "invalid cpu_mean: NaN is not"),
            (
                "cpu_mean = 1.5",
                "invalid cpu_mean: 1.5 is not from 0 to 1; write cpu_mean = 0.02",
            ),
            (
                "floor_ms = 1e300",
                "is not from 0 to 3600000; write floor_ms = 0.1",
            ),
            ("service_mean = inf", "invalid service_mean: inf is not"),
            ("a = 1\n\n= 2", "line 3: "),
            (
                "[service_mean]\nx = 1",
                "invalid service_mean: it is not a number",
            ),
            ("cpu_mean = 1\ncpu_mean = 2", "line 2: "),
        ] {
            let problem = Margins::parse(text).unwrap_err().to_string();
            assert!(problem.contains(part), "{text}: {problem}");
        }
        let missing = Margins::read(Path::new("/no/such")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /no/such: "), "{missing}");
    }

    #[test]
    fn a_pipe_or_a_device_is_no_file_of_margins() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            let error = Margins::read(path).unwrap_err().to_string();
            assert!(
                error.contains("it is not a regular file; pass a TOML file"),
                "{error}"
            );
        }
        let long = folder.path().join("long");
        std::fs::write(&long, "# ".repeat(40_000)).unwrap();
        let error = Margins::read(&long).unwrap_err().to_string();
        assert!(
            error.contains("it is larger than 64 KiB; pass a TOML file"),
            "{error}"
        );
    }

    #[test]
    fn the_documented_margins_are_those_of_the_code() {
        let text = include_str!("../../../docs/compare.md");
        for Margin {
            name,
            default,
            unit,
            source,
        } in Margins::ALL
        {
            let unit = if *unit == "ms" { " ms" } else { "" };
            let row = format!("| `{name}` | {default}{unit} | {source} |");
            assert!(text.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_margin_of_a_time_has_a_floor() {
        let margins = Margins::default();
        assert_eq!(margins.of_time(0.05, 100.0, 1.0), 5.0);
        assert_eq!(margins.of_time(0.05, 0.0, 1.0), 0.1);
        assert_eq!(margins.of_time(0.05, 0.0, 50.0), 0.5);
    }
}
