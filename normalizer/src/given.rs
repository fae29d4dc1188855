//! [`Given`]: which settings were given, and go over those that a journal tells.

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::config::Config;
use crate::pipeline::Settings;

/// The flags that were given, on the command line or by their variable, as opposed to those that have their default.
#[derive(Debug, Default)]
pub struct Given(Vec<String>);

impl Given {
    /// Of a command line, or of its subcommand's.
    pub fn of(matches: &ArgMatches) -> Self {
        let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
        let is_given = |id: &clap::Id| {
            let source = matches
                .try_contains_id(id.as_str())
                .ok()
                .and_then(|_| matches.value_source(id.as_str()));
            matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        };
        Self(
            matches
                .ids()
                .filter(|id| is_given(id))
                .map(ToString::to_string)
                .collect(),
        )
    }

    fn has(&self, id: &str) -> bool {
        self.0.iter().any(|given| given == id)
    }
}

impl Config {
    /// Puts the settings that were given in the place of others.
    pub fn put_given(&self, given: &Given, settings: &mut Settings) {
        let mine = self.pipeline_settings(settings.run_id.clone());
        macro_rules! put {
            ($($id:literal: $field:ident),*) => {
                $(if given.has($id) { settings.$field = mine.$field; })*
            };
        }
        if given.has("run_id") {
            settings.run_id = self.run_id.clone().unwrap_or(mine.run_id);
        }
        put!("join_window": join_window, "dedup_window": dedup_window, "stale_after": stale_after,
            "run_idle": run_idle, "stage_of": stages, "default_stage": default_stage,
            "keep_metric": kept_metrics, "keep_query": keep_query, "open_runs_max": open_runs_max, "roll_bytes": roll_bytes,
            "roll_age": roll_age, "memory_limit": memory_limit);
    }
}
