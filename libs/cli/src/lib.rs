//! Common parts of all command lines: the usage error, empty variables, units, interrupts.

pub mod interrupt;
pub mod units;

/// A request that is impossible as stated, for example because a path is taken. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Makes an empty environment variable count as unset, because `RUN_ID=` in a file of variables means that.
pub fn ignore_empty_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let variable = arg.get_env().and_then(std::env::var_os);
        if variable.is_some_and(|value| value.is_empty()) {
            arg.env(clap::builder::Resettable::Reset)
        } else {
            arg
        }
    })
}
