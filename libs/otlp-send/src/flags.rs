//! [`Flags`]: options of OTLP export, for all commands that send telemetry. Each has a variable.

use std::path::PathBuf;

use clap::Args;

use crate::options::{Compression, Protocol};

/// Options of OTLP export. A flag overrides its variable and the variable of a signal.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Protocol of the export: grpc or http/protobuf [env: OTEL_EXPORTER_OTLP_PROTOCOL] [default: grpc].
    #[arg(long, value_name = "PROTOCOL", value_parser = Protocol::parse_flag)]
    pub otlp_protocol: Option<Protocol>,
    /// Headers of each export: comma-separated key=value pairs, percent-encoded, such as
    /// authorization=Bearer%20TOKEN [env: OTEL_EXPORTER_OTLP_HEADERS].
    #[arg(long, value_name = "LIST")]
    pub otlp_headers: Option<String>,
    /// Compression of each export: none or gzip [env: OTEL_EXPORTER_OTLP_COMPRESSION] [default: none].
    #[arg(long, value_name = "COMPRESSION", value_parser = Compression::parse_flag)]
    pub otlp_compression: Option<Compression>,
    /// Timeout of one export attempt, milliseconds; 0 means no timeout [env: OTEL_EXPORTER_OTLP_TIMEOUT] [default: 10000].
    #[arg(long, value_name = "MS")]
    pub otlp_timeout_ms: Option<u64>,
    /// Path to the CA certificates (PEM) that verify the receiver's certificate
    /// [env: OTEL_EXPORTER_OTLP_CERTIFICATE] [default: the CA certificates of the system].
    #[arg(long, value_name = "FILE")]
    pub otlp_certificate: Option<PathBuf>,
    /// Path to the client certificate (PEM) [env: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE].
    #[arg(long, value_name = "FILE")]
    pub otlp_client_certificate: Option<PathBuf>,
    /// Path to the private key (PEM) of the client certificate [env: OTEL_EXPORTER_OTLP_CLIENT_KEY].
    #[arg(long, value_name = "FILE")]
    pub otlp_client_key: Option<PathBuf>,
}

impl Flags {
    /// The first flag that is set; `None` if none is.
    pub fn first_set(&self) -> Option<&'static str> {
        let set = [
            ("--otlp-protocol", self.otlp_protocol.is_some()),
            ("--otlp-headers", self.otlp_headers.is_some()),
            ("--otlp-compression", self.otlp_compression.is_some()),
            ("--otlp-timeout-ms", self.otlp_timeout_ms.is_some()),
            ("--otlp-certificate", self.otlp_certificate.is_some()),
            (
                "--otlp-client-certificate",
                self.otlp_client_certificate.is_some(),
            ),
            ("--otlp-client-key", self.otlp_client_key.is_some()),
        ];
        set.into_iter().find(|(_, is_set)| *is_set).map(|(flag, _)| flag)
    }
}
