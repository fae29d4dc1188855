//! A local run in one command: a normalizer and services as child processes, connected, monitored and stopped.
//!
//! - [`child`]: one child process.
//! - [`environment`]: the environment of child processes.
//! - [`namespace`]: network namespaces.
//! - [`application`]: a third-party application, which is loaded instead of a service.
//! - [`collector`]: the OpenTelemetry Collector between services and normalizer.
//! - [`config`]: what is started; [`service`]: one service; [`chain`]: one alone, or three in a chain.
//! - [`stand_ins`]: services that take the place of a recorded run's instances.
//! - [`stack`]: all child processes of a run.
//! - [`tiers`]: nodes in network namespaces, with links of known delay and rate.
//! - [`running`]: a stack that already runs, in containers or on other machines.
//! - [`deployment`]: child processes, or a stack that already runs.
//! - [`folder`]: whether the run's folder is free.

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
