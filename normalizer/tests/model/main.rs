//! Journal, pipeline and sink under random operations, crashes and errors. The files are compared with the knowledge of a
//! client: they contain each acknowledged span once and every other span at most once, every line is complete, and files only
//! grow.
//!
//! Runs continue in new parts all the time, and closed parts are deleted at random moments.
//!
//! The test is a separate process, because it closes and opens a locked folder all the time. If other tests started programs in
//! the same process, a new child process would keep the lock for a short time.
//!
//! These tests fail if the base of a run (the lengths of files that existed before) is not read: the run's lines are then
//! duplicated.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod faults;
mod folders;
mod operation;
mod requests;
mod world;

use proptest::prelude::*;

use operation::operation;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: world::cases(), max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn acknowledged_rows_are_in_the_files_once_after_any_fault(
        operations in prop::collection::vec(operation(), 1..50),
    ) {
        let mut world = World::new();
        for operation in &operations {
            world.run(operation);
            world.check_growth();
        }
        world.end();
    }
}
