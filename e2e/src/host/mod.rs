//! The host that tests run on: [`counters`] of the kernel, [`load`] for CPUs, disks and a network, a [`machine`] with a network of its
//! own, and the [`rows`] of a node.

pub mod counters;
pub mod load;
pub mod machine;
pub mod rows;
