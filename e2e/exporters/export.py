"""Sends the spans of a fixed trace with an exporter of the Python SDK, those of OTLP compressed with gzip.

Usage: export.py grpc|protobuf|zipkin GRPC_URL HTTP_URL < trace.json
Fails unless the exporter reports success.
"""

import json
import sys

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

protocol, grpc_url, http_url = sys.argv[1:]


class TheseIds(IdGenerator):
    def generate_trace_id(self):
        return int(self.span["trace_id"], 16)

    def generate_span_id(self):
        return int(self.span["span_id"], 16)


def record(spans):
    ids, finished, contexts, contexts_of = TheseIds(), InMemorySpanExporter(), {}, {}
    for span in spans:
        provider = TracerProvider(resource=Resource.create(span["resource"]), id_generator=ids)
        provider.add_span_processor(SimpleSpanProcessor(finished))
        ids.span = span
        recorded = provider.get_tracer("export").start_span(
            span["name"],
            context=contexts.get(span["parent"]),
            kind=trace.SpanKind[span["kind"]],
            attributes=span["attributes"],
            start_time=int(span["start_unix_nano"]),
            links=[trace.Link(contexts_of[other]) for other in span.get("links", [])],
        )
        contexts_of[span["span_id"]] = recorded.get_span_context()
        contexts[span["span_id"]] = trace.set_span_in_context(recorded)
        if span["failed"]:
            recorded.set_status(trace.StatusCode.ERROR)
        if exception := span.get("exception"):
            attributes = {"exception.type": exception, "exception.message": "refused"}
            recorded.add_event("exception", attributes, int(span["end_unix_nano"]))
        recorded.end(int(span["end_unix_nano"]))
    return finished.get_finished_spans()


if protocol == "grpc":
    exporter = GrpcExporter(endpoint=grpc_url, insecure=True, compression=grpc.Compression.Gzip)
elif protocol == "zipkin":
    exporter = ZipkinExporter(endpoint=f"{http_url}/api/v2/spans")
else:
    exporter = HttpExporter(endpoint=f"{http_url}/v1/traces", compression=Compression.Gzip)
result = exporter.export(record(json.load(sys.stdin)))
assert result is SpanExportResult.SUCCESS, result
exporter.shutdown()
