//! Journal, pipeline and sink under random operations, crashes and errors, against what a client knows: an acknowledged
//! span is in the files once, any other at most once, no line is torn, and files only ever grow.
//!
//! Runs roll on all the time, and closed parts are deleted at any moment.
//!
//! Seen to fail when the base of a run is not read, for the run that was there before: its lines are doubled.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod faults;
mod requests;
mod world;

use proptest::prelude::*;

use world::{Operation, World};

fn operation() -> impl Strategy<Value = Operation> {
    let errno = prop::sample::select(vec![libc::ENOSPC, libc::EIO, libc::EINTR, libc::EDQUOT]);
    prop_oneof![
        8 => (1_u8..5, 0_u8..3).prop_map(|(new, again)| Operation::Append { new, again }),
        4 => (1_u64..1500).prop_map(Operation::Tick),
        2 => Just(Operation::Checkpoint),
        1 => Just(Operation::Shutdown),
        2 => Just(Operation::Crash),
        1 => Just(Operation::CrashBeforeFeeding),
        2 => (any::<u64>(), any::<u64>()).prop_map(|(from, to)| Operation::PowerLossWhileAppending { from, to }),
        1 => Just(Operation::CrashInCheckpoint),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(is_down, is_partly)| Operation::DeleteParts { is_down, is_partly }),
        2 => (2_u64..40, errno, 0_usize..60)
            .prop_map(|(every, errno, piece)| Operation::Faults { every, errno, piece }),
        1 => Just(Operation::NoFaults),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: world::cases(), max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn what_was_acknowledged_is_in_the_files_once_whatever_goes_wrong(
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
