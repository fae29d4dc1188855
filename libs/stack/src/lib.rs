//! The one-command local run: a normalizer and services as children, wired together, and what they leave behind.
//!
//! - [`application`]: somebody else's application beside the service, which is then what is driven.
//! - [`children`]: one child process: started, watched, stopped, never left behind.
//! - [`collector`]: the OpenTelemetry Collector between services and normalizer.
//! - [`stack`]: which children there are and how they are wired.
//! - [`tiers`]: endpoint, edge and cloud in network namespaces, with links of known delay and rate.
//! - [`running`]: a stack that runs already, in containers or on other machines.
//! - [`deployment`]: one of the two.
//! - [`folder`]: the run's folder, before (is it free?) and after (what is in it?).

pub mod application;
pub mod children;
pub mod collector;
pub mod deployment;
pub mod folder;
pub mod running;
pub mod stack;
pub mod tiers;
