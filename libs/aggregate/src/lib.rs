//! The one aggregator: statistics of modules, endpoints, links and calls, and the rules that infer what no span states. The
//! normalizer's snapshots and the merge use it, so that both give the same rows.
//!
//! - [`modules`]: statistics of a module and its endpoints; [`module_rows`] makes the inventory's rows of them.
//! - [`links`]: transfer times between two nodes, and the rows made of them.
//! - [`names`]: numbers for names; [`peers`]: the module behind a peer's name.
//! - [`migrations`], [`under_load`], [`timeouts`]: inference rules and how long to wait before inferring.
//! - [`ids`]: number types of runs, nodes, modules, instances and names; [`maps`]: the hash maps of all of these.

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
