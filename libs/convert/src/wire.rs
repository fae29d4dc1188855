//! [`Batch`]: collects the spans or points of table rows by resource, and makes a request of OTLP from them.

use aggregate::maps::Map;
use bytes::Bytes;

use crate::protobuf::{begin_field, bytes_field, field, field_len, fixed64, text_attribute, varint_field};

/// A request is complete if it has this many spans or points, or this many bytes. Only one request is in memory.
const ITEMS_MAX: usize = 4096;
const BYTES_MAX: usize = 1 << 20;

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

#[derive(Default)]
pub struct Batch {
    groups: Vec<Group>,
    /// Number of groups in use. The others keep their memory for later requests.
    used: usize,
    by_key: Map<u64, usize>,
    items: usize,
    bytes: usize,
    scratch: Vec<u8>,
}

/// The encoded attributes of a resource, and its encoded spans or points.
#[derive(Default)]
struct Group {
    resource: Vec<u8>,
    items: Vec<u8>,
}

impl Batch {
    /// The index of a resource. `key` identifies it, and `attributes` is called if it is new. Attributes with an empty value are
    /// left out.
    pub fn resource<'a, const N: usize>(
        &mut self,
        key: u64,
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
                text_attribute(field::RESOURCE_ATTRIBUTES, name, value, &mut group.resource);
            }
        }
        self.bytes += group.resource.len();
        self.by_key.insert(key, index);
        index
    }

    pub fn push_span(&mut self, resource: usize, span: &Span<'_>) {
        let out = &mut self.scratch;
        out.clear();
        bytes_field(field::SPAN_TRACE_ID, &span.trace_id.to_be_bytes(), out);
        bytes_field(field::SPAN_ID, &span.id.to_be_bytes(), out);
        bytes_field(field::SPAN_NAME, span.name, out);
        varint_field(field::SPAN_KIND, SERVER, out);
        fixed64(field::SPAN_START, span.begin_ns, out);
        fixed64(field::SPAN_END, span.end_ns, out);
        for (key, value) in span.attributes {
            if !value.is_empty() {
                text_attribute(field::SPAN_ATTRIBUTES, key, value, out);
            }
        }
        self.push_item(resource);
    }

    pub fn push_point(&mut self, resource: usize, point: &Point<'_>) {
        // Two fields of eight bytes, each with its key.
        const POINT_BYTES: usize = 2 * 9;
        let out = &mut self.scratch;
        out.clear();
        bytes_field(field::METRIC_NAME, point.metric.as_bytes(), out);
        bytes_field(field::METRIC_UNIT, point.unit.as_bytes(), out);
        begin_field(field::METRIC_GAUGE, field_len(POINT_BYTES), out);
        begin_field(field::GAUGE_POINT, POINT_BYTES, out);
        fixed64(field::POINT_TIME, point.time_ns, out);
        fixed64(field::POINT_DOUBLE, point.value.to_bits(), out);
        self.push_item(resource);
    }

    fn push_item(&mut self, resource: usize) {
        let items = &mut self.groups[resource].items;
        let before = items.len();
        bytes_field(field::ITEM, &self.scratch, items);
        self.bytes += items.len() - before;
        self.items += 1;
    }

    /// The request of all rows so far, if it is complete: it has its full size, or `is_end`. The batch is empty afterwards.
    pub fn take_complete(&mut self, is_end: bool) -> Option<Bytes> {
        if !is_end && self.items < ITEMS_MAX && self.bytes < BYTES_MAX {
            return None;
        }
        // Rows without a value can fill a batch with resources alone.
        let has_items = self.items > 0;
        let request = self.take();
        has_items.then_some(request)
    }

    fn take(&mut self) -> Bytes {
        // Keys and lengths of the outer messages have at most 24 bytes.
        let mut out = Vec::with_capacity(self.bytes + self.used * 24);
        for group in &self.groups[..self.used] {
            let length = field_len(group.resource.len()) + field_len(group.items.len());
            begin_field(field::RESOURCE_DATA, length, &mut out);
            bytes_field(field::RESOURCE, &group.resource, &mut out);
            bytes_field(field::SCOPE_DATA, &group.items, &mut out);
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
        assert_eq!(batch.take_complete(true), None);
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
        let resource = batch.resource(7, || [("cctf.node_id", &b"n"[..])]);
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
