//! [`validation`]: checks whether the files of the run follow the rules of the contract.

use analyze::stats::opened::Opened;
use cctf_proto::validate::Severity;
use page::number::exact;
use rundir::validate::{Options, validate};
use rundir::{ReadError, RunFolder};

use crate::model::Validation;

/// Maximum size of a run that is validated by default, bytes of lines. The check of references between rows takes up to 180
/// bytes of memory for each KiB of lines.
pub const VALIDATED_BYTES_MAX: u64 = 256 << 20;
/// Maximum number of findings in the report.
const FINDINGS_MAX: usize = 50;

/// Validates each part. The findings begin with the errors.
///
/// # Errors
/// If a file cannot be read.
pub fn validation(opened: &Opened, is_any_size: bool) -> Result<Validation, ReadError> {
    let mut found = Validation {
        errors: 0,
        warnings: 0,
        findings: Vec::new(),
        unchecked: None,
    };
    let folders: Vec<_> = opened.parts.iter().map(|part| opened.run.folder(part)).collect();
    let mut bytes = 0;
    for folder in &folders {
        bytes += RunFolder::open(folder)?.size_of_lines();
    }
    if bytes > VALIDATED_BYTES_MAX && !is_any_size {
        found.unchecked = Some(format!(
            "the run has {} MiB of lines, more than the {} MiB that a report validates; cctf validate checks it",
            exact(bytes >> 20),
            VALIDATED_BYTES_MAX >> 20
        ));
        return Ok(found);
    }
    for (folder, part) in folders.iter().zip(&opened.parts) {
        let mut report = validate(folder, Options::default())?;
        found.errors += report.errors;
        found.warnings += report.warnings;
        if folders.len() > 1 {
            for finding in &mut report.broken {
                finding.message = format!("{}: {}", part.folder(), finding.message);
            }
        }
        found.findings.extend(report.broken);
    }
    // The sort is stable: findings keep the order of parts, files and lines.
    found
        .findings
        .sort_by_key(|finding| finding.severity != Severity::Error);
    found.findings.truncate(FINDINGS_MAX);
    Ok(found)
}
