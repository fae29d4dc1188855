//! Flags that `load`, `run` and `replay` share, flags of a run's links, and the parsers of their values.

use std::path::PathBuf;
use std::time::Duration;

use cctf_load::clock;
use cctf_load::drive::{Drive, check_sizes};
use cctf_load::http::request::ExtraHeader;
use cctf_load::plan::schedule::{Arrivals, DURATION_MAX, RATE_MAX, Schedule};
use cctf_load::plan::sizes::Sizes;
use cctf_load::plan::target::{Endpoint, Target};
use cctf_load::record::utc;
use cctf_proto::keys;
use cctf_stack::tiers::settings::{Delays, LinkSettings, Rate};
use clap::Args;
use cli::{UsageError, units};

#[derive(Debug, Clone, Args)]
pub struct LoadFlags {
    /// Average requests per second.
    #[arg(long, env = "CCTF_RATE", default_value = "40", value_parser = parse_rate)]
    pub rate: f64,
    /// Time for which an endpoint gets load, such as 500ms, 20s, 2m or 1m30s.
    #[arg(long, env = "CCTF_DURATION", default_value = "20s", value_parser = parse_duration)]
    pub duration: DurationArg,
    /// Size of each request body, such as 8192 or 64KiB. A range such as 1000-200000 spreads the sizes evenly.
    ///
    /// For gunzip, this is the size before compression. Requests to kvget and work have no body. For kvget, this is the size of
    /// the stored value; for work, the size of the response, rounded up to KiB. Neither kvget nor work accepts a range.
    #[arg(long, env = "CCTF_SIZE", default_value = "8192", value_name = "BYTES")]
    pub size: Sizes,
    /// Distribution of the times between requests.
    #[arg(long, env = "CCTF_ARRIVALS", value_enum, default_value = "constant")]
    pub arrivals: Arrivals,
    /// Seed of the random times and bodies. The same seed gives the same times and bodies, but always new trace ids.
    #[arg(long, env = "CCTF_SEED", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub sending: SendFlags,
    #[command(flatten)]
    pub run: RunFlags,
}

/// Flags about sending requests. They apply to generated load and to replays.
#[derive(Debug, Clone, Args)]
pub struct SendFlags {
    /// Maximum number of connections. Further requests wait for a free connection, and the wait counts as lateness.
    ///
    /// The lateness of a request is the time from the scheduled to the actual sending.
    #[arg(long, env = "CCTF_CONNECTIONS", default_value_t = 1024, value_parser = parse_connections)]
    pub connections: usize,
    /// Maximum time for which a request waits for a free connection. The same maximum applies to the time from sending the request to
    /// the end of the response.
    #[arg(long, env = "CCTF_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub timeout: DurationArg,
    /// Extra header, such as 'X-Next-Url: http://127.0.0.1:8081/blob/gzip'. Repeatable.
    ///
    /// A Host or Content-Type header replaces the default header of this name.
    #[arg(long = "header", env = "CCTF_HEADER", value_name = "NAME: VALUE", value_parser = ExtraHeader::parse)]
    pub headers: Vec<ExtraHeader>,
}

/// The run id, and facts that are recorded in run_meta.json.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    /// Id of the run: letters, digits, '.', '_' and '-'. Default: time and random letters, such as 20261123-104500-kqtzab.
    #[arg(long, env = "RUN_ID", value_parser = keys::parse_run_id)]
    pub run_id: Option<String>,
    /// Name of the scenario, recorded in run_meta.json.
    #[arg(long, env = "CCTF_SCEN")]
    pub scen: Option<String>,
    /// Container image of the service under load, recorded in run_meta.json.
    #[arg(long, env = "CCTF_IMG")]
    pub img: Option<String>,
    /// Git commit of the service under load, recorded in run_meta.json.
    #[arg(long, env = "GIT_SHA")]
    pub git_sha: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct LinkFlags {
    /// Run each node in a network namespace of its own, and emulate the links between nodes. Requires root, and --chain or --stand-in.
    #[arg(long, env = "CCTF_NETNS", requires = "nodes")]
    pub netns: bool,
    /// With --chain --netns: one-way delays of the links ep0-edge0 and edge0-cloud0.
    #[arg(
        long,
        env = "CCTF_LINK_DELAY",
        default_value = "5ms,20ms",
        value_name = "DELAY,DELAY"
    )]
    pub link_delay: Delays,
    /// With --chain --netns: rate of each link in each direction, such as 50Mbit or 800kbit.
    #[arg(long, env = "CCTF_LINK_RATE", default_value = "50Mbit")]
    pub link_rate: Rate,
    /// With --netns: path to the toxiproxy server, a proxy that delays the data on the links.
    #[arg(
        long,
        env = "CCTF_TOXIPROXY",
        default_value = "toxiproxy-server",
        value_name = "PATH"
    )]
    pub toxiproxy: PathBuf,
}

impl LinkFlags {
    /// The links between namespaces; none without --netns.
    pub fn settings(&self) -> Option<LinkSettings> {
        self.netns.then(|| LinkSettings {
            delays: self.link_delay.0,
            rate_bps: self.link_rate.0,
            toxiproxy: self.toxiproxy.clone(),
        })
    }
}

impl LoadFlags {
    /// The load for one endpoint. `method` overrides the endpoint's default method.
    ///
    /// # Errors
    /// If the endpoint is unknown, or does not accept bodies of these sizes.
    pub fn drive(&self, target: Target, endpoint: &str, method: Option<&str>) -> Result<Drive, UsageError> {
        let endpoint = Endpoint::resolve(endpoint, method, self.size.max())
            .map_err(|error| UsageError(error.to_string()))?;
        check_sizes(&endpoint, self.size).map_err(|error| UsageError(error.to_string()))?;
        Ok(Drive {
            target,
            endpoint,
            schedule: Schedule {
                rate: self.rate,
                duration: self.duration.value,
                arrivals: self.arrivals,
                seed: self.seed,
            },
            sizes: self.size,
            connections_max: self.sending.connections,
            timeout: self.sending.timeout.value,
            headers: self.sending.headers.clone(),
        })
    }
}

impl RunFlags {
    /// The run id: the one that was set, or a unique one from the time and random letters.
    pub fn run_id_or_now(&self) -> String {
        let by_default = || keys::default_run_id(&utc::compact(clock::unix_ns()), rand::random());
        self.run_id.clone().unwrap_or_else(by_default)
    }
}

/// A duration together with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationArg {
    /// As written, such as `20s`.
    pub text: String,
    pub value: Duration,
}

/// Parses a duration above zero and at most a week.
pub fn parse_duration(text: &str) -> Result<DurationArg, String> {
    match units::parse_duration(text)? {
        Duration::ZERO => Err(format!("{text:?} is too short: it must be above zero")),
        total if total > DURATION_MAX => Err(format!("{text:?} is too long: at most 168h")),
        value => Ok(DurationArg {
            text: text.to_owned(),
            value,
        }),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= RATE_MAX => Ok(rate),
        _ => Err(format!(
            "invalid rate {text:?}: it must be above 0 and at most {RATE_MAX} requests per second"
        )),
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    const CONNECTIONS_MAX: usize = 100_000;
    match text.parse() {
        Ok(count) if (1..=CONNECTIONS_MAX).contains(&count) => Ok(count),
        _ => Err(format!(
            "invalid number of connections {text:?}: it must be 1 to {CONNECTIONS_MAX}"
        )),
    }
}

pub fn parse_stage(text: &str) -> Result<String, String> {
    match text {
        "endpoint" | "edge" | "cloud" | "unknown" => Ok(text.to_owned()),
        _ => Err(format!(
            "invalid stage {text:?}: use endpoint, edge, cloud or unknown"
        )),
    }
}

pub fn parse_target(text: &str) -> Result<Target, String> {
    Target::parse(text).map_err(|error| error.to_string())
}

/// Checks an endpoint's name or path.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    Endpoint::resolve(text, None, 0)
        .map(|endpoint| endpoint.name)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("20s", 20_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap().value,
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for bad in ["", "20", "s", "0s", "-1s", "1d", "9999999h", "1..5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn runs_that_begin_in_the_same_second_have_names_of_their_own() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            run: RunFlags,
        }
        let run = <Line as clap::Parser>::parse_from(["x"]).run;
        let names: std::collections::HashSet<String> = (0..1000).map(|_| run.run_id_or_now()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| keys::is_valid_run_id(name)), "{names:?}");
    }

    #[test]
    fn rates_that_are_no_rates_are_refused() {
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        for bad in ["0", "-1", "NaN", "inf", "forty", "1e9"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
