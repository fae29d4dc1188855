//! Compares receivers. Each gets the same spans at full speed.

use std::sync::Arc;
use std::time::Duration;

use super::figures::Figures;
use super::load::{Load, Until};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};

/// Time until allocators, tables and connections are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// Loads one receiver and checks its files. The CPU time includes work after the last acknowledgement, because it is read when
/// the files no longer grow.
pub fn measure(
    kind: Kind,
    places: &Places,
    spans_a_request: usize,
    duration: Duration,
) -> anyhow::Result<()> {
    let subject = Subject::start(kind, places, &[])?;
    let requests = Arc::new(Requests::new(spans_a_request)?);
    let mut load = Load::new(subject.address(), requests)?;
    load.full_speed(Until::Passed(WARM_UP))?;
    subject.wait_until_quiet()?;
    let (cpu, written) = (subject.cpu_time()?, process::written_bytes(subject.pid())?);
    let sent = load.full_speed(Until::Passed(duration))?;
    let complete = subject.wait_until_quiet()?.max(sent.ended);
    let cpu = subject.cpu_time()? - cpu;
    let written = process::written_bytes(subject.pid())? - written;
    let peak = process::peak_memory(subject.pid())?;
    subject.check_and_stop(load.traces())?;
    let took = complete - sent.begun;
    Figures::new(
        ("full speed", kind),
        spans_a_request,
        &sent,
        cpu,
        took,
        (written, peak),
    )
    .print()
}
