//! Shared with the tests of the normalizer: hostile requests, and the folders that a pipeline writes for them.

#[path = "../../../../normalizer/tests/support/folders.rs"]
pub mod folders;
#[path = "../../../../normalizer/tests/support/hostile.rs"]
pub mod hostile;
#[path = "../../../../normalizer/tests/support/scenario.rs"]
pub mod scenario;
#[path = "../../../../normalizer/tests/support/written.rs"]
pub mod written;
