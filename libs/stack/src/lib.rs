//! A local run in one command: a normalizer and services as child processes, connected, monitored and stopped.
//!
//! - [`child`]: one child process.
//! - [`environment`]: the environment of child processes.
//! - [`namespace`]: network namespaces.
//! - [`application`]: a third-party application, which gets the load instead of a service.
//! - [`collector`]: the OpenTelemetry Collector between services and normalizer.
//! - [`config`]: the configuration of all processes; [`service`]: starts one service; [`chain`]: starts the services under load,
//!   a single one or three in a chain.
//! - [`stand_ins`]: services that replace the instances of a recorded run.
//! - [`stack`]: all child processes of a run.
//! - [`tiers`]: nodes in network namespaces, connected by links of known delay and rate.
//! - [`running`]: a stack that already runs, in containers or on other machines.
//! - [`deployment`]: child processes, or a stack that already runs.
//! - [`folder`]: the folder of the new run.

pub mod application;
mod chain;
pub mod child;
pub mod collector;
pub mod config;
pub mod deployment;
mod environment;
pub mod folder;
pub mod namespace;
pub mod running;
mod service;
pub mod stack;
pub mod stand_ins;
pub mod tiers;
