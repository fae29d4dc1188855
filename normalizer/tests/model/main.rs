//! Journal, pipeline and sink, in a process of their own, under random operations, crashes and errors, compared with the
//! knowledge of a client. An acknowledged span is in the files once, any other at most once, no line is torn, and files only grow.
//!
//! Runs continue in new parts all the time, and closed parts are deleted at any moment.
//!
//! The process is its own because the test closes and opens a locked folder again and again. Beside tests that start programs, a
//! child that has not yet called exec would still hold the lock.
//!
//! These tests fail when the base of a run is not read, for a run that existed before: its lines are duplicated.
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
