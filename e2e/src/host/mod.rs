//! The host that tests run on: [`counters`], what the kernel says of it; [`load`], work for its CPUs, disks and a network;
//! [`machine`], a network of its own; and [`rows`], what a run's files say.

pub mod counters;
pub mod load;
pub mod machine;
pub mod rows;
