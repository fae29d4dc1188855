//! [`each_row`]: the rows of a small file, in all parts of a run.

use analyze::stats::opened::Opened;
use cctf_proto::cctf::{File, Part};
use page::number::counted;
use rundir::{Lines, ReadError};

/// State of the file.
pub struct Found {
    /// Whether at least one part has the file.
    pub exists: bool,
    /// Number of complete lines that are not rows.
    pub damaged: u64,
}

/// Passes each complete line to `on_row`, which returns false if the line is not a row.
///
/// # Errors
/// If a file cannot be read.
pub fn each_row(
    opened: &Opened,
    file: File,
    mut on_row: impl FnMut(&Part, &[u8]) -> bool,
) -> Result<Found, ReadError> {
    let mut found = Found {
        exists: false,
        damaged: 0,
    };
    for part in &opened.parts {
        let Some(lines) = Lines::open(opened.run.path(part, file))? else {
            continue;
        };
        found.exists = true;
        lines.each_row(|line| on_row(part, line), |_| found.damaged += 1)?;
    }
    Ok(found)
}

impl Found {
    /// Adds a sentence to `notes` if the file is missing, and one if it has damaged lines.
    pub fn note(&self, file: File, without_it: &str, notes: &mut Vec<String>) {
        if !self.exists {
            notes.push(format!("the run has no {}, so {without_it}", file.name()));
        }
        if self.damaged > 0 {
            notes.push(format!(
                "{} of {} {} left out",
                counted(self.damaged, "damaged line", "damaged lines"),
                file.name(),
                if self.damaged == 1 { "is" } else { "are" }
            ));
        }
    }
}
