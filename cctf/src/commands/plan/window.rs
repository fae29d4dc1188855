//! [`WindowFlags`]: the part of a run that a plan covers.

use std::time::Duration;

use clap::Args;
use cli::units::parse_duration;
use plan::plan::Window;

use crate::commands::UsageError;

#[derive(Debug, Clone, Args)]
pub struct WindowFlags {
    /// Only roots (requests from outside) that arrive at or after this offset from the first one, such as 10s or 1m30s.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    from: Option<Duration>,
    /// Only roots that arrive before this offset.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    to: Option<Duration>,
}

impl WindowFlags {
    /// # Errors
    /// If the window is empty.
    pub fn window(&self) -> Result<Window, UsageError> {
        let from = self.from.unwrap_or_default();
        if self.to.is_some_and(|to| to <= from) {
            let message = "--to is not after the beginning: choose a larger --to, or a smaller --from";
            return Err(UsageError(message.to_owned()));
        }
        Ok(Window { from, to: self.to })
    }

    /// The given flags as text, each after a space.
    pub fn text(&self) -> String {
        let flag = |name: &str, at: Option<Duration>| {
            at.map_or_else(String::new, |at| format!(" {name} {}s", at.as_secs_f64()))
        };
        flag("--from", self.from) + &flag("--to", self.to)
    }
}
