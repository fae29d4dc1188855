//! Sends collected metrics once, without retries: with cumulative temporality, the default, the next collection repeats all sums.
//! With delta temporality, it does not, so a collection that was not sent is sent again with the next one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use otlp_send::{Retry, Sender};
use prost::Message as _;
use tokio::runtime::Handle;

/// Maximum size of the collections that are kept to be sent again: several minutes of collections, and less than receivers of
/// OTLP/gRPC accept by default (4 MiB).
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// The SDK's reader passes its collections to this exporter.
pub struct MetricSender {
    sender: Sender,
    temporality: Temporality,
    runtime: Handle,
    unsent: Mutex<Unsent>,
}

/// Encoded collections that were not sent, oldest first.
#[derive(Debug, Default)]
struct Unsent {
    collections: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Unsent {
    /// Adds a collection. Drops the oldest ones beyond the maximum size, and returns their number.
    fn push(&mut self, collection: Vec<u8>) -> usize {
        self.bytes += collection.len();
        self.collections.push_back(collection);
        let mut dropped = 0;
        while self.bytes > UNSENT_BYTES_MAX
            && self.collections.len() > 1
            && let Some(oldest) = self.collections.pop_front()
        {
            self.bytes -= oldest.len();
            dropped += 1;
        }
        dropped
    }

    /// One request with all collections. Joined encodings are the encoding of the joined lists.
    fn request(&self) -> Bytes {
        let mut request = Vec::with_capacity(self.bytes);
        self.collections
            .iter()
            .for_each(|one| request.extend_from_slice(one));
        request.into()
    }
}

impl MetricSender {
    /// Sends on `runtime`, because the reader's own thread has no async runtime.
    pub fn new(sender: Sender, temporality: Temporality, runtime: Handle) -> Self {
        Self {
            sender,
            temporality,
            runtime,
            unsent: Mutex::default(),
        }
    }

    fn request(&self, collection: Vec<u8>) -> Bytes {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = unsent.push(collection);
        if dropped > 0 {
            tracing::warn!(
                collections = dropped,
                "dropped the oldest metrics, because the receiver was unavailable for too long"
            );
        }
        unsent.request()
    }

    fn forget_sent(&self) {
        *self.unsent.lock().unwrap_or_else(PoisonError::into_inner) = Unsent::default();
    }
}

impl PushMetricExporter for MetricSender {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = self.request(ExportMetricsServiceRequest::from(metrics).encode_to_vec());
        let sender = self.sender.clone();
        let sent = self.runtime.spawn(async move { sender.attempt(request).await });
        let sent = sent
            .await
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        let is_final = match &sent {
            Ok(_) => true,
            Err(failure) => failure.retry == Retry::Never,
        };
        if is_final || self.temporality == Temporality::Cumulative {
            self.forget_sent();
        }
        let accepted = sent.map_err(|failure| OTelSdkError::InternalFailure(failure.error))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsent_collections_are_one_request_and_the_oldest_ones_give_way() {
        let mut unsent = Unsent::default();
        assert_eq!([vec![1; 10], vec![2; 20]].map(|one| unsent.push(one)), [0, 0]);
        assert_eq!(unsent.request(), [vec![1; 10], vec![2; 20]].concat());
        assert_eq!(unsent.push(vec![3; UNSENT_BYTES_MAX - 20]), 1);
        assert_eq!((unsent.bytes, unsent.request()[0]), (UNSENT_BYTES_MAX, 2));
        // A collection that exceeds the maximum by itself is sent once more, alone.
        assert_eq!(unsent.push(vec![4; UNSENT_BYTES_MAX + 1]), 2);
        assert_eq!(unsent.request().len(), UNSENT_BYTES_MAX + 1);
        assert_eq!(unsent.push(vec![5]), 1);
    }
}
