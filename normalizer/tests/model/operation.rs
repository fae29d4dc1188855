//! Random operations on a normalizer.

use proptest::prelude::*;

/// An operation.
#[derive(Debug, Clone)]
pub enum Operation {
    Append {
        new: u8,
        again: u8,
    },
    Tick(u64),
    Checkpoint,
    Shutdown,
    Crash,
    CrashBeforeFeeding,
    PowerLossWhileAppending {
        from: u64,
        to: u64,
    },
    CrashInCheckpoint,
    /// Deletes closed parts, or only some files of a part. This can happen while no process runs.
    DeleteParts {
        is_down: bool,
        is_partly: bool,
    },
    Faults {
        every: u64,
        errno: i32,
        piece: usize,
    },
    NoFaults,
}

/// A strategy for any operation.
pub fn operation() -> impl Strategy<Value = Operation> {
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
