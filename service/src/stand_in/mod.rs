//! The service as a stand-in: instead of an application, it executes the plan in the body of each request (docs/stand-ins.md).
//!
//! - `intake` decodes a request into a `plan` and an `engine`. The engine decides the next `step`. It uses a `graph` of the
//!   calls, a `node` for each call, the `gaps` in progress, and future `events`.
//! - `on_slot` performs the steps on a slot's thread up to the answer, and `afterwards` performs those after it. Both use
//!   `execution`.
//! - `calls` sends requests to other stand-ins, and `padded` gives them the recorded size. While an invocation has a slot, its
//!   `exchanges` are executed on the slot's thread. `addresses` reads the file with the
//!   addresses.
//! - `mailbox` gets the answers. It wakes the invocation's thread, or continues an invocation without one; a `timer` does the
//!   same at planned times. `delayed` requests are sent without their invocation.
//! - `shared` is the state that all requests share. It includes the expected costs of executing plans: `estimate` for each
//!   cost, `call_cost` for a call by its size, and `debt` for CPU time beyond the plans. At the end of a request, `learn`
//!   updates them.
//! - `counters` are shown on /metrics. `open_files` raises the limit of open files.

pub mod addresses;
pub mod afterwards;
pub mod call_cost;
pub mod calls;
pub mod counters;
pub mod debt;
pub mod delayed;
pub mod engine;
pub mod estimate;
pub mod events;
pub mod exchanges;
pub mod execution;
pub mod gaps;
pub mod graph;
pub mod intake;
pub mod learn;
pub mod mailbox;
pub mod node;
pub mod on_slot;
pub mod open_files;
pub mod padded;
pub mod plan;
pub mod shared;
pub mod step;
pub mod timer;
