//! [`Batch`]: a request of OTLP as protobuf bytes, without objects between a row of a table and its bytes.

use std::hash::Hash;

use aggregate::maps::Map;
use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::protobuf::{bytes_field, field_len, fixed64, text_attribute, varint_field};

/// Number of spans or points, and their bytes, at which a request is complete. Only one request is in memory.
const ITEMS_MAX: usize = 4096;
const BYTES_MAX: usize = 1 << 20;

/// Field numbers, which requests of traces and of metrics share.
const RESOURCE_DATA: u32 = 1;
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTE: u32 = 1;
const SCOPE_DATA: u32 = 2;
const ITEM: u32 = 2;

/// The kind SERVER of a span.
const SERVER: u64 = 2;

/// A SERVER span without a parent.
pub struct Span<'a> {
    pub trace_id: u128,
    pub id: u64,
    pub name: &'a [u8],
    /// Nanoseconds since the Unix epoch.
    pub begin_ns: u64,
    pub end_ns: u64,
    /// Attributes with an empty value are left out.
    pub attributes: &'a [(&'static str, &'a [u8])],
}

/// A value of a metric.
pub struct Point<'a> {
    pub metric: &'a str,
    pub unit: &'a str,
    pub value: f64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
}

/// Spans or points by resource. `K` identifies a resource.
#[derive(Default)]
pub struct Batch<K> {
    groups: Vec<Group>,
    /// Number of groups in use. The others keep their memory for later requests.
    used: usize,
    by_key: Map<K, usize>,
    items: usize,
    bytes: usize,
    scratch: Vec<u8>,
}

#[derive(Default)]
struct Group {
    resource: Vec<u8>,
    items: Vec<u8>,
}

impl<K: Hash + Eq> Batch<K> {
    pub fn is_full(&self) -> bool {
        self.items >= ITEMS_MAX || self.bytes >= BYTES_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The index of a resource. `attributes` is called if it is new. Attributes with an empty value are left out.
    pub fn resource<'a, const N: usize>(
        &mut self,
        key: K,
        attributes: impl FnOnce() -> [(&'static str, &'a [u8]); N],
    ) -> usize {
        if let Some(&index) = self.by_key.get(&key) {
            return index;
        }
        let index = self.used;
        self.used += 1;
        if self.groups.len() == index {
            self.groups.push(Group::default());
        }
        let group = &mut self.groups[index];
        group.resource.clear();
        group.items.clear();
        for (name, value) in attributes() {
            if !value.is_empty() {
                text_attribute(RESOURCE_ATTRIBUTE, name, value, &mut group.resource);
            }
        }
        self.bytes += group.resource.len();
        self.by_key.insert(key, index);
        index
    }

    pub fn push_span(&mut self, resource: usize, span: &Span<'_>) {
        let out = &mut self.scratch;
        out.clear();
        bytes_field(1, &span.trace_id.to_be_bytes(), out);
        bytes_field(2, &span.id.to_be_bytes(), out);
        bytes_field(5, span.name, out);
        varint_field(6, SERVER, out);
        fixed64(7, span.begin_ns, out);
        fixed64(8, span.end_ns, out);
        for (key, value) in span.attributes {
            if !value.is_empty() {
                text_attribute(9, key, value, out);
            }
        }
        self.push_item(resource);
    }

    pub fn push_point(&mut self, resource: usize, point: &Point<'_>) {
        // Two fields of eight bytes, each with its key.
        const POINT_BYTES: usize = 2 * 9;
        let out = &mut self.scratch;
        out.clear();
        bytes_field(1, point.metric.as_bytes(), out);
        bytes_field(3, point.unit.as_bytes(), out);
        encode_key(5, WireType::LengthDelimited, out);
        encode_varint(field_len(POINT_BYTES) as u64, out);
        encode_key(1, WireType::LengthDelimited, out);
        encode_varint(POINT_BYTES as u64, out);
        fixed64(3, point.time_ns, out);
        fixed64(4, point.value.to_bits(), out);
        self.push_item(resource);
    }

    fn push_item(&mut self, resource: usize) {
        let items = &mut self.groups[resource].items;
        let before = items.len();
        bytes_field(ITEM, &self.scratch, items);
        self.bytes += items.len() - before;
        self.items += 1;
    }

    /// Empties the batch if it is full, or at the end. Returns the request; `None` if there is no span or point.
    pub fn take_complete(&mut self, is_end: bool) -> Option<Bytes> {
        if !is_end && !self.is_full() {
            return None;
        }
        // Rows without a value can fill a batch with resources alone.
        let is_empty = self.is_empty();
        let request = self.take();
        (!is_empty).then_some(request)
    }

    /// The request. The batch is empty afterwards.
    pub fn take(&mut self) -> Bytes {
        // Keys and lengths of the outer messages have at most 24 bytes.
        let mut out = Vec::with_capacity(self.bytes + self.used * 24);
        for group in &self.groups[..self.used] {
            let length = field_len(group.resource.len()) + field_len(group.items.len());
            encode_key(RESOURCE_DATA, WireType::LengthDelimited, &mut out);
            encode_varint(length as u64, &mut out);
            bytes_field(RESOURCE, &group.resource, &mut out);
            bytes_field(SCOPE_DATA, &group.items, &mut out);
        }
        (self.used, self.items, self.bytes) = (0, 0, 0);
        self.by_key.clear();
        out.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
    use prost::Message;

    use super::*;

    #[test]
    fn a_decoder_reads_what_was_pushed() {
        let mut batch = Batch::default();
        let resource = batch.resource(7, || [("service.name", &b"front"[..]), ("host.name", b"")]);
        assert_eq!(batch.resource(7, || [("service.name", &b"other"[..])]), resource);
        batch.push_span(
            resource,
            &Span {
                trace_id: 5,
                id: 6,
                name: b"rpc 0.1",
                begin_ns: 1_000,
                end_ns: 2_000,
                attributes: &[("rpc.method", b"buy"), ("none", b"")],
            },
        );
        let request = ExportTraceServiceRequest::decode(batch.take()).unwrap();
        assert!(batch.is_empty());
        let of_resource = &request.resource_spans[0];
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes.len(), 1);
        let span = &of_resource.scope_spans[0].spans[0];
        assert_eq!(span.trace_id, 5_u128.to_be_bytes());
        assert_eq!((span.name.as_str(), span.kind), ("rpc 0.1", 2));
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano),
            (1_000, 2_000)
        );
        assert_eq!(span.attributes.len(), 1);
    }

    #[test]
    fn a_decoder_reads_a_point() {
        let mut batch = Batch::default();
        let resource = batch.resource((), || [("cctf.node_id", &b"n"[..])]);
        let point = Point {
            metric: "system.cpu.utilization",
            unit: "1",
            value: 0.25,
            time_ns: 9,
        };
        batch.push_point(resource, &point);
        let request = ExportMetricsServiceRequest::decode(batch.take()).unwrap();
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), (point.metric, "1"));
        let Some(metric::Data::Gauge(gauge)) = &metric.data else {
            panic!("{metric:?}");
        };
        assert_eq!(gauge.data_points[0].time_unix_nano, 9);
        assert_eq!(
            gauge.data_points[0].value,
            Some(number_data_point::Value::AsDouble(0.25))
        );
    }
}
