//! Sends OTLP: reads the standard variables, connects with or without TLS, makes one attempt, and classifies failures.
//!
//! - [`Variables`], [`list`]: environment variables according to OpenTelemetry's specification, without I/O.
//! - [`Flags`], [`Destination`]: receiver and protocol of one signal, from flags and variables, without I/O.
//! - `tls`, `connector`: certificates from files, and connections.
//! - [`Sender`]: one attempt over gRPC or HTTP. `persistent`: attempts until the answer is final; [`BlockingSender`].
//! - [`Retry`]: whether and when a failed request may be sent again, without I/O.

// These macros panic if a pipe is closed or a disk is full; `stdio` of the crate `cctf-proto` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod connector;
mod destination;
mod flags;
pub mod list;
mod options;
mod persistent;
mod retry;
mod sender;
mod tls;
mod variables;

pub use destination::{Destination, SettingsError};
pub use flags::Flags;
pub use options::{Compression, Protocol, Signal};
pub use persistent::{BlockingSender, StartError};
pub use retry::{Failure, Retry};
pub use sender::{Accepted, Sender};
pub use tls::TlsError;
pub use variables::Variables;
