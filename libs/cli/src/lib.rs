//! Common parts of all command lines: the usage error, empty variables, units, interrupts, words of a shell, small files of a person.

pub mod bounded;
pub mod document;
pub mod interrupt;
pub mod shell;
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
