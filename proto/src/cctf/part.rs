//! [`Part`]: one folder of a run. A very long run continues in the folders `<RUN_ID>-0002` and so on.

use serde::{Deserialize, Serialize};

/// Minimum digits of the number in a folder's name.
const DIGITS: usize = 4;

/// One folder of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    run_id: String,
    number: u64,
    folder: String,
}

impl Part {
    /// The first part, whose folder has the name of the run.
    pub fn first(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            number: 1,
            folder: run_id.to_owned(),
        }
    }

    /// A later part. Numbers start at 2.
    pub fn later(run_id: &str, number: u64) -> Self {
        Self {
            run_id: run_id.to_owned(),
            number,
            folder: format!("{run_id}-{number:0DIGITS$}"),
        }
    }

    /// The part after this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self::later(&self.run_id, self.number + 1)
    }

    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Number of the part, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Name of the folder.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Run id and number, if this can be the folder name of a later part. A run itself can have such a name, too.
    pub fn parse(folder: &str) -> Option<(&str, u64)> {
        let (run_id, digits) = folder.rsplit_once('-')?;
        let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_padded = digits.len() > DIGITS && digits.starts_with('0');
        let number = digits.parse().ok().filter(|&number| number >= 2)?;
        (is_number && !is_padded && !run_id.is_empty()).then_some((run_id, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_of_parts_are_written_and_parsed() {
        let first = Part::first("run-7");
        assert_eq!((first.folder(), first.number()), ("run-7", 1));
        assert_eq!(first.next().folder(), "run-7-0002");
        assert_eq!(Part::later("r", 12_345).folder(), "r-12345");
        assert_eq!(Part::parse("run-7-0002"), Some(("run-7", 2)));
        assert_eq!(Part::parse("r-12345"), Some(("r", 12_345)));
        for name in [
            "run-7",
            "run-000x",
            "run-0001",
            "run-0000",
            "run-00012",
            "run",
            "-0002",
            "r-+002",
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }
}
