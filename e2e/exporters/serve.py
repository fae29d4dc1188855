"""A service of somebody else's by the Python SDK: a request each 100 ms until standard input closes, then it is gone without a word.

Usage: serve.py GRPC_URL < pipe
Prints a line of JSON for each span that the receiver has taken: its start and end, nanoseconds since the Unix epoch.
Who it is comes from OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
"""

import json
import select
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

PAUSE_S = 0.1


class Told(OTLPSpanExporter):
    def export(self, spans):
        result = super().export(spans)
        assert result.name == "SUCCESS", result
        for span in spans:
            print(json.dumps({"start": span.start_time, "end": span.end_time}), flush=True)
        return result


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Told(endpoint=sys.argv[1], insecure=True)))
tracer = provider.get_tracer("serve")
while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
    attributes = {"http.request.method": "GET", "url.path": "/", "http.response.status_code": 200}
    tracer.start_span("GET /", kind=trace.SpanKind.SERVER, attributes=attributes).end()
