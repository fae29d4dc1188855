//! [`Job`]: the state of the work that the user sees; [`feed`]: passes a request to the pipeline.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use anyhow::anyhow;
use cctf_normalizer::offline::{CheckedRequest, Offline};

use crate::place::Place;
use crate::tally::Tally;

/// Bytes of the files that are read, and their sum if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// The state of the work that the user sees and can interrupt.
pub struct Job<'j> {
    pub stop: &'j AtomicBool,
    pub on_progress: &'j mut dyn FnMut(Progress),
    pub total: u64,
    /// Bytes of the files before the current one.
    pub before: u64,
    /// Bytes of the current file.
    pub read: Rc<Cell<u64>>,
}

/// Counts a request, and feeds it to the pipeline.
///
/// # Errors
/// If a file cannot be written.
pub fn feed(
    offline: &mut Offline,
    tally: &mut Tally,
    request: CheckedRequest,
    place: impl Fn() -> Place,
) -> anyhow::Result<()> {
    tally.count(request.signal(), &request.admission, place);
    offline.take(request);
    match offline.failure() {
        Some(failure) => Err(anyhow!("{failure}")),
        None => Ok(()),
    }
}
