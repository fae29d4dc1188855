//! A local run in one command: a normalizer and services as child processes, connected, monitored and stopped.
//!
//! - [`child`]: one child process.
//! - [`environment`]: the environment of child processes.
//! - [`namespace`]: network namespaces.
//! - [`application`]: a third-party application, which is loaded instead of a service.
//! - [`collector`]: the OpenTelemetry Collector between services and normalizer.
//! - [`stack`]: all child processes of a run.
//! - [`tiers`]: endpoint, edge and cloud in network namespaces, with links of known delay and rate.
//! - [`running`]: a stack that already runs, in containers or on other machines.
//! - [`deployment`]: child processes, or a stack that already runs.
//! - [`folder`]: whether the run's folder is free.

pub mod application;
pub mod child;
pub mod collector;
pub mod deployment;
mod environment;
pub mod folder;
pub mod namespace;
pub mod running;
pub mod stack;
pub mod tiers;
