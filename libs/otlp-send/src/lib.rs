//! Sends OTLP: reads the standard variables, connects with or without TLS, makes one attempt, and says what may be retried.
//!
//! - [`Variables`], [`list`]: environment variables as OpenTelemetry's specification reads them; pure.
//! - [`Flags`], [`Destination`]: where and how one signal is sent, from flags and variables; pure.
//! - `tls`, `connector`: certificates from files, and connections.
//! - [`Sender`]: one attempt over gRPC or HTTP.
//! - [`Retry`]: what an answer means for the next attempt; pure.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod connector;
mod destination;
mod flags;
pub mod list;
mod options;
mod retry;
mod sender;
mod tls;
mod variables;

pub use destination::{Destination, SettingsError};
pub use flags::Flags;
pub use options::{Compression, Protocol, Signal};
pub use retry::{Failure, Retry};
pub use sender::{Accepted, Sender};
pub use tls::TlsError;
pub use variables::Variables;
