//! [`read`]: the work of a run from the files of all its parts.

use cctf_proto::cctf::{self, File, Part};
use rundir::parts::Run;
use rundir::{Lines, ReadError};

use super::collect::{Collector, TooMany};
use super::model::Works;
use super::names::Station;
use super::rows::{CallRow, InvocationRow};
use crate::inventory;

/// The part of a run to read: invocations that arrived from the first time up to, but excluding, the second. Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub from_ns: i64,
    pub to_ns: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            from_ns: i64::MIN,
            to_ns: i64::MAX,
        }
    }
}

/// A run whose work cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "cannot read {run}: it has no invocations in this time; restore invocations.jsonl or choose another time"
    )]
    NoInvocations { run: String },
    #[error("cannot read {run}: it has more than the maximum of {max} {what}; choose a part of it with --from and --to", max = too_many.max, what = too_many.what)]
    TooMany { run: String, too_many: TooMany },
}

/// Reads the work of a run from the part `first` on.
///
/// # Errors
/// If a file cannot be read, or there are no invocations or too many.
pub fn read(run: &Run, first: &Part, bounds: Bounds) -> Result<Works, WorkError> {
    let mut collector = Collector::default();
    let too_many = |too_many| WorkError::TooMany {
        run: run.id().to_owned(),
        too_many,
    };
    if let Some(missing) = run.missing(first)? {
        collector.missing(missing);
    }
    let parts = run.parts_from(first)?;
    collector.reserve(rows_in(run, &parts));
    for part in &parts {
        let is_within = |row: &InvocationRow<'_>| {
            let at_ns = row.enqueue.as_ns();
            bounds.from_ns <= at_ns && at_ns < bounds.to_ns
        };
        let added = each_line(run, part, File::Invocations, &mut collector, |line, collector| {
            let row = InvocationRow::read(line);
            row.map(|row| {
                if is_within(&row) {
                    collector.invocation(row)
                } else {
                    Ok(())
                }
            })
        })?;
        added.map_err(too_many)?;
    }
    for part in &parts {
        let added = each_line(run, part, File::Calls, &mut collector, |line, collector| {
            let row = CallRow::read(line);
            row.map(|row| collector.call(row))
        })?;
        added.map_err(too_many)?;
    }
    stations(run, &parts, &mut collector)?;
    let works = collector.finish().map_err(too_many)?;
    match works.works.is_empty() {
        true => Err(WorkError::NoInvocations {
            run: run.id().to_owned(),
        }),
        false => Ok(works),
    }
}

/// An estimate of the number of invocations: tables that do not grow take half of the time.
fn rows_in(run: &Run, parts: &[Part]) -> usize {
    /// Bytes of a row of our service.
    const ROW_BYTES: u64 = 640;
    let sizes = parts
        .iter()
        .map(|part| run.path(part, File::Invocations).metadata());
    let bytes: u64 = sizes.map(|data| data.map_or(0, |data| data.len())).sum();
    usize::try_from(bytes / ROW_BYTES).unwrap_or(usize::MAX)
}

/// Passes the lines of a file to `on_line`, which returns `None` for a line that is no row, until one does not fit.
fn each_line(
    run: &Run,
    part: &Part,
    file: File,
    collector: &mut Collector,
    mut on_line: impl FnMut(&[u8], &mut Collector) -> Option<Result<(), TooMany>>,
) -> Result<Result<(), TooMany>, ReadError> {
    let Some(lines) = Lines::open(run.path(part, file))? else {
        collector.missing(format!("{} has no {}", part.folder(), file.name()));
        return Ok(Ok(()));
    };
    let (mut result, mut damaged) = (Ok(()), 0);
    let on_row = |line: &[u8]| {
        if result.is_err() {
            return true;
        }
        match on_line(line, collector) {
            Some(added) => result = added,
            None => return false,
        }
        true
    };
    lines.each_row(on_row, |_| damaged += 1)?;
    (0..damaged).for_each(|_: u64| collector.damaged_line());
    Ok(result)
}

/// Sets the stations of the instances as the last valid inventory reports them. Inferred slots are no station: they only say how many
/// requests were seen at once.
///
/// # Errors
/// If a file cannot be read.
pub fn stations(run: &Run, parts: &[Part], collector: &mut Collector) -> Result<(), ReadError> {
    let found = inventory::read(run, parts, |modules| {
        for module in modules {
            for instance in module.instances.iter().flatten() {
                let number = collector
                    .names()
                    .find_module(&module.module_id)
                    .and_then(|module| collector.names().find_instance(module, &instance.instance_id));
                if let Some(number) = number {
                    collector.instances()[number as usize].station = station_of(instance);
                }
            }
        }
    })?;
    if found.is_none() {
        collector.missing(format!(
            "{} has no valid module_inventory.json: slots are unknown",
            run.id()
        ));
    }
    Ok(())
}

fn station_of(instance: &cctf::Instance<'_>) -> Station {
    let is_reported = instance.slots_src != Some(cctf::SlotSource::Inferred);
    let slots = instance.workers.filter(|workers| is_reported && *workers > 0);
    Station {
        slots: slots.map(|slots| u32::try_from(slots).unwrap_or(u32::MAX)),
        is_released: slots.is_some() && instance.slot_policy.as_deref() == Some("released"),
        queue_limit: instance
            .queue_limit
            .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    }
}
