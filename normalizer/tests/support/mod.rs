//! Helpers for several tests: the binary as a process, random requests, readers of folders, certificates.

pub mod certificates;
pub mod folders;
pub mod hostile;
pub mod process;
pub mod random;
pub mod scenario;
pub mod written;
