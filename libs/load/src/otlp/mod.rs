//! The driver's spans and control spans over OTLP.
//!
//! - [`identity`], [`run_facts`]: the resource, and the attributes of a run's start.
//! - [`spans`]: the encoding of spans.
//! - [`export`]: their queue, batches and outcomes; [`alive`]: reports that the driver is alive.

mod alive;
pub mod attributes;
pub mod export;
pub mod identity;
pub mod run_facts;
pub mod spans;
