//! [`ExplicitFlags`]: the settings that the operator set explicitly. They override the settings stored in a journal.

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::Config;
use crate::pipeline::Settings;

/// The flags that were set on the command line or by an environment variable.
#[derive(Debug, Default)]
pub struct ExplicitFlags(Vec<String>);

impl ExplicitFlags {
    /// The explicit flags of a command line or, if it has a subcommand, of the subcommand.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
        let is_explicit = |id: &clap::Id| {
            let source = matches
                .try_contains_id(id.as_str())
                .ok()
                .and_then(|_| matches.value_source(id.as_str()));
            matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        };
        Self(
            matches
                .ids()
                .filter(|id| is_explicit(id))
                .map(ToString::to_string)
                .collect(),
        )
    }

    fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|explicit| explicit == id)
    }
}

impl Config {
    /// Overrides `settings` with the explicitly set values of this configuration.
    pub fn override_settings(&self, explicit: &ExplicitFlags, settings: &mut Settings) {
        let mine = self.pipeline_settings(settings.run_id.clone());
        macro_rules! override_explicit {
            ($($id:literal: $field:ident),*) => {
                $(if explicit.contains($id) { settings.$field = mine.$field; })*
            };
        }
        if explicit.contains("run_id") {
            settings.run_id = self.run_id.clone().unwrap_or(mine.run_id);
        }
        override_explicit!("join_window": join_window, "dedup_window": dedup_window, "stale_after": stale_after,
            "run_idle": run_idle, "stage_of": stages, "default_stage": default_stage,
            "keep_metric": kept_metrics, "keep_query": keep_query, "open_runs_max": open_runs_max, "roll_bytes": roll_bytes,
            "roll_age": roll_age, "memory_limit": memory_limit);
    }
}
