//! Parts that all command lines share: the usage error, empty variables, units, interrupts, shell quoting, and reading small
//! files.

pub mod bounded;
pub mod document;
pub mod interrupt;
pub mod shell;
pub mod units;

/// A request that is impossible as stated, for example because a path is taken. The text includes a remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Makes an empty environment variable count as unset. Files of variables often contain lines such as `RUN_ID=`.
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

/// An error with its causes, except those that the text already contains.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let described = cause.to_string();
        if !text.contains(&described) {
            text = format!("{text}: {described}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot connect: {source}; start the service")]
        Connect { source: std::fmt::Error },
        #[error("run r failed")]
        Run(#[source] Box<Failure>),
    }

    #[test]
    fn a_cause_that_an_error_already_contains_is_not_repeated() {
        let source = std::fmt::Error;
        let cause = source.to_string();
        let error = Failure::Run(Box::new(Failure::Connect { source }));
        let expected = format!("run r failed: cannot connect: {cause}; start the service");
        assert_eq!(describe(&error), expected);
    }
}
