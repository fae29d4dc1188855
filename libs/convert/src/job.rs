//! [`Job`]: the progress of a conversion, and the flag that interrupts it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

/// Progress of one phase of the work. In the phase `convert`, `done` and `total` are bytes of the files; `total` can be too
/// small, because the size of standard input is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// The progress of reading the files, and how to report and interrupt it.
pub struct Job<'j> {
    pub stop: &'j AtomicBool,
    pub on_progress: &'j mut dyn FnMut(Progress),
    pub total: u64,
    /// Number of bytes of the files before the current one.
    pub before: u64,
    /// Number of bytes of the current file that have been read.
    pub read: Rc<Cell<u64>>,
}
