//! [`validate`]: reads a run folder and its other parts, and passes their files to the rules of the contract.

use std::path::Path;

use cctf_proto::cctf::{File, LINE_BYTES_MAX, Shape, WHOLE_BYTES_MAX};
use cctf_proto::validate::{PendingReferences, READ_ORDER, Report, Validation};

use crate::byte_count::{ByteCount, OnBytes};
use crate::siblings::Siblings;
use crate::{Ending, Lines, ReadError, RunFolder};

/// Maximum number of findings of each rule in the report: enough to see a pattern, and few enough to read.
pub const FINDINGS_KEPT_PER_RULE: usize = 20;

/// Bounds of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Maximum number of findings of each rule in the report; all are counted.
    pub findings_kept_per_rule: usize,
    /// Maximum length of a line, bytes.
    pub line_bytes_max: usize,
    /// Maximum length of a file that is replaced whole, bytes.
    pub whole_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            findings_kept_per_rule: FINDINGS_KEPT_PER_RULE,
            line_bytes_max: LINE_BYTES_MAX,
            whole_bytes_max: WHOLE_BYTES_MAX,
        }
    }
}

/// Checks all rules on the run at `path`, which is a run's folder or the folder `cctf` in it.
///
/// # Errors
/// If a file or folder cannot be read. Problems in the files themselves are in the report.
pub fn validate(path: &Path, options: Options) -> Result<Report, ReadError> {
    validate_with(path, options, &mut |_| {})
}

/// Like [`validate`], but also reports the number of bytes read, for a progress bar. The total is about
/// [`RunFolder::size_of_lines`], plus rows of other parts.
///
/// # Errors
/// Like [`validate`].
pub fn validate_with(path: &Path, options: Options, on_bytes: OnBytes<'_>) -> Result<Report, ReadError> {
    let mut bytes = ByteCount::new(on_bytes);
    let folder = RunFolder::open(path)?;
    let mut validation = Validation::new(options.findings_kept_per_rule);
    let mut siblings = None;
    for file in READ_ORDER {
        match file.shape() {
            Shape::Lines => read_lines(&folder, file, options, &mut validation, &mut bytes)?,
            Shape::Array | Shape::Object => read_whole(&folder, file, options, &mut validation)?,
        }
        if file == File::RunMeta {
            let found = Siblings::new(&folder, validation.part())?;
            if found.is_later_part() {
                validation.mark_later_part();
            }
            siblings = Some(found);
        }
    }
    finish(validation.references(), siblings, options, &mut bytes)
}

fn read_whole(
    folder: &RunFolder,
    file: File,
    options: Options,
    validation: &mut Validation,
) -> Result<(), ReadError> {
    match folder.whole(file, options.whole_bytes_max) {
        Ok(Some(bytes)) => validation.whole(file, &bytes),
        Ok(None) => validation.missing(file),
        Err(ReadError::TooLarge { limit, .. }) => validation.too_long(file, None, limit),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn read_lines(
    folder: &RunFolder,
    file: File,
    options: Options,
    validation: &mut Validation,
    bytes: &mut ByteCount<'_>,
) -> Result<(), ReadError> {
    let limit = options.line_bytes_max;
    let Some(mut lines) = Lines::open_with(folder.path(file), limit)? else {
        validation.missing(file);
        return Ok(());
    };
    while let Some(line) = lines.next_line()? {
        bytes.add_line(line.bytes);
        match line.ending {
            Ending::Newline => validation.line(file, line.number, line.bytes),
            Ending::EndOfFile => validation.torn_line(file, line.number, line.bytes),
            Ending::TooLong => validation.too_long(file, Some(line.number), limit),
        }
    }
    validation.end_of_lines(file);
    Ok(())
}

/// Searches the other parts of the run for rows that are missing in this one.
fn finish(
    mut pending: PendingReferences,
    siblings: Option<Siblings>,
    options: Options,
    bytes: &mut ByteCount<'_>,
) -> Result<Report, ReadError> {
    let wanted: Vec<File> = pending.files().collect();
    let Some(siblings) = siblings.filter(|_| !wanted.is_empty()) else {
        return Ok(pending.finish(false));
    };
    for folder in siblings.folders()? {
        for &file in &wanted {
            let Some(mut lines) = Lines::open_with(folder.path(file), options.line_bytes_max)? else {
                continue;
            };
            while let Some(line) = lines.next_line()? {
                bytes.add_line(line.bytes);
                pending.resolve(file, line.bytes);
            }
        }
    }
    Ok(pending.finish(siblings.may_have_more_rows()?))
}
