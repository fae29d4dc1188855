//! Sends collected metrics, without retries: with cumulative temporality, the default, the next collection repeats all sums.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use otlp_send::Sender;
use prost::Message as _;
use tokio::runtime::Handle;

/// The SDK's reader passes its collections to this exporter.
pub struct MetricSender {
    sender: Sender,
    temporality: Temporality,
    runtime: Handle,
}

impl MetricSender {
    /// Sends on `runtime`, because the reader's own thread has no async runtime.
    pub fn new(sender: Sender, temporality: Temporality, runtime: Handle) -> Self {
        Self {
            sender,
            temporality,
            runtime,
        }
    }
}

impl PushMetricExporter for MetricSender {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics).encode_to_vec().into();
        let sender = self.sender.clone();
        let sent = self.runtime.spawn(async move { sender.attempt(request).await });
        let accepted = sent
            .await
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?
            .map_err(|failure| OTelSdkError::InternalFailure(failure.error))?;
        if let Some(message) = accepted.message {
            tracing::warn!(
                rejected = accepted.rejected,
                "the receiver reported a problem with metrics: {message}"
            );
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
