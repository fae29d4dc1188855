//! The service as a stand-in: it executes the plan in a request's body in place of an application (docs/stand-ins.md).
//!
//! `intake` decodes a request into its `plan` and an `engine` with its `graph`, `node`s, `gaps` and `events`. `on_slot` executes
//! it on a slot's thread, and `afterwards` what is left after the answer. Both take each `step` from the engine and perform it
//! through `execution`. `calls` sends requests, `padded` to the recorded size, to other stand-ins, whose `addresses` are in a
//! file. Answers come to a `mailbox`, which wakes a thread or continues an invocation that has none; so does the `timer`.
//! `delayed` requests need no invocation. `shared` is the state of all requests, with what executing plans costs: an `estimate` of
//! each cost, `call_cost` of a call by its size, and the `debt` of what the costs exceed the plans by. At its end, a request lets
//! them `learn` from it. `counters` are on /metrics, and `open_files` raises a limit.

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
