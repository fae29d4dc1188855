//! The facts of a run that its start span reports.

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::otlp::attributes::{double, integer, text};

/// The facts of a run that its start span reports.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    pub run_id: String,
    /// Requests per second. `None`: the times are recorded ones.
    pub rate: Option<f64>,
    pub duration: Option<String>,
    pub scen: Option<String>,
    pub img: Option<String>,
    pub git_sha: Option<String>,
    pub workers: Option<u32>,
    /// `None`: the requests go to many endpoints.
    pub endpoint: Option<String>,
    pub target: String,
    pub payload_bytes: Option<usize>,
    pub seed: u64,
    /// `None` if the requests do not replay a recorded run.
    pub replay: Option<ReplayFacts>,
}

/// The run that is replayed, and how its times relate to the replay's times.
#[derive(Debug, Clone)]
pub struct ReplayFacts {
    /// Id of the recorded run.
    pub of: String,
    pub speed: f64,
    /// The factor, and `thin`, `overlap` or `squeeze`. `None` if nothing is scaled.
    pub scale: Option<(f64, &'static str)>,
    /// Start of the replayed part, nanoseconds after the first root. `None`: from the start.
    pub from_ns: Option<u64>,
    /// End of the replayed part, nanoseconds after the first root. `None`: to the end.
    pub to_ns: Option<u64>,
    /// Maximum number of requests. `None`: all.
    pub limit: Option<u64>,
    /// `loopback` if the links of the recorded run are missing. `None` otherwise.
    pub network: Option<&'static str>,
}

impl ReplayFacts {
    fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let unsigned = |key, number: Option<u64>| {
            number.map(|number| integer(key, i64::try_from(number).unwrap_or(i64::MAX)))
        };
        let scale = self
            .scale
            .map(|(factor, _)| double(keys::RUN_REPLAY_SCALE, factor));
        let by = self.scale.map(|(_, by)| text(keys::RUN_REPLAY_BY, by));
        let always = [
            text(keys::RUN_REPLAY_OF, &self.of),
            double(keys::RUN_REPLAY_SPEED, self.speed),
        ];
        let optional = [
            scale,
            by,
            unsigned(keys::RUN_REPLAY_FROM_NS, self.from_ns),
            unsigned(keys::RUN_REPLAY_TO_NS, self.to_ns),
            unsigned(keys::RUN_REPLAY_LIMIT, self.limit),
            self.network
                .map(|network| text(keys::RUN_REPLAY_NETWORK, network)),
        ];
        always.into_iter().chain(optional.into_iter().flatten())
    }
}

impl RunFacts {
    /// The attributes of `cctf.run.start`.
    pub fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            text(keys::RUN_ID, &self.run_id),
            text(keys::RUN_TARGET, &self.target),
            integer(keys::RUN_SEED, self.seed as i64),
        ];
        attributes.extend(self.rate.map(|rate| double(keys::RUN_RATE, rate)));
        let optional = [
            (keys::RUN_DURATION, &self.duration),
            (keys::RUN_ENDPOINT, &self.endpoint),
            (keys::RUN_SCEN, &self.scen),
            (keys::RUN_IMG, &self.img),
            (keys::RUN_GIT_SHA, &self.git_sha),
        ];
        attributes.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| value.as_ref().map(|value| text(key, value))),
        );
        attributes.extend(
            self.payload_bytes
                .map(|bytes| integer(keys::RUN_PAYLOAD_BYTES, bytes as i64)),
        );
        attributes.extend(
            self.workers
                .map(|workers| integer(keys::WORKERS, i64::from(workers))),
        );
        attributes.extend(self.replay.iter().flat_map(ReplayFacts::attributes));
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_replay_has_neither_rate_nor_endpoint() {
        let keys_of = |facts: &RunFacts| -> Vec<String> {
            facts
                .attributes()
                .into_iter()
                .map(|attribute| attribute.key)
                .collect()
        };
        let absent = [keys::RUN_RATE, keys::RUN_DURATION, keys::RUN_ENDPOINT];
        let replay = RunFacts {
            run_id: "b".to_owned(),
            replay: Some(ReplayFacts {
                of: "a".to_owned(),
                speed: 1.0,
                scale: None,
                from_ns: None,
                to_ns: None,
                limit: Some(7),
                network: Some("loopback"),
            }),
            ..RunFacts::default()
        };
        let found = keys_of(&replay);
        for key in [
            keys::RUN_REPLAY_OF,
            keys::RUN_REPLAY_LIMIT,
            keys::RUN_REPLAY_NETWORK,
        ] {
            assert!(found.iter().any(|found| found == key), "{found:?}");
        }
        assert!(
            absent.iter().all(|key| !found.iter().any(|found| found == key)),
            "{found:?}"
        );
        let load = RunFacts {
            rate: Some(40.0),
            duration: Some("20s".to_owned()),
            endpoint: Some("json".to_owned()),
            ..RunFacts::default()
        };
        let found = keys_of(&load);
        assert!(
            absent.iter().all(|key| found.iter().any(|found| found == key)),
            "{found:?}"
        );
    }
}
