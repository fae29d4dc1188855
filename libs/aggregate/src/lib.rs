//! Statistics of modules, endpoints, links and calls, and the rules that infer facts which no span states. The normalizer's
//! snapshots and the merge both use this crate, so both compute the same rows.
//!
//! - [`modules`]: statistics of a module and its endpoints; [`module_rows`] turns them into rows of the inventory.
//! - [`links`]: network times between two nodes, and the rows computed from them.
//! - [`names`]: a table that assigns numbers to names; [`peers`]: finds the module behind a peer's name.
//! - [`migrations`], [`under_load`], [`timeouts`]: inference rules, and the time to wait before inferring.
//! - [`ids`]: id types of runs, nodes, modules, instances and names; [`maps`]: fast hash maps.

pub mod ids;
pub mod links;
pub mod maps;
pub mod migrations;
pub mod module_rows;
pub mod modules;
pub mod names;
pub mod peers;
pub mod timeouts;
pub mod under_load;
