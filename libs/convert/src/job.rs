//! [`Job`]: the state of the work that the user sees.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

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
