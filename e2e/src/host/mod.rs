//! The machine on which tests run: the kernel's [`counters`], [`load`] for CPUs, disks and a network, a [`machine`] with its
//! own network, and the [`rows`] of a node.

pub mod counters;
pub mod load;
pub mod machine;
pub mod rows;
