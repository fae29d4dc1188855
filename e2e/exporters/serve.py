"""A service that uses the Python SDK: one request every 100 ms until standard input closes. It does not report its end.

Usage: serve.py GRPC_URL < pipe
Prints a line of JSON for each acknowledged span: its start and end, in nanoseconds since the Unix epoch.
OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES identify it.
"""

import json
import select
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

PAUSE_S = 0.1


class PrintingExporter(OTLPSpanExporter):
    def export(self, spans):
        result = super().export(spans)
        assert result.name == "SUCCESS", result
        for span in spans:
            print(json.dumps({"start": span.start_time, "end": span.end_time}), flush=True)
        return result


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(PrintingExporter(endpoint=sys.argv[1], insecure=True)))
tracer = provider.get_tracer("serve")
while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
    attributes = {"http.request.method": "GET", "url.path": "/", "http.response.status_code": 200}
    tracer.start_span("GET /", kind=trace.SpanKind.SERVER, attributes=attributes).end()
