// Sends the spans of a fixed trace with an exporter of the Node SDK, those of OTLP compressed with gzip.
//
// Usage: export.cjs grpc|protobuf|json|zipkin GRPC_URL HTTP_URL < trace.json
// Fails unless the exporter reports success.
const fs = require("node:fs");
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = require("@opentelemetry/api");
const { CompressionAlgorithm } = require("@opentelemetry/otlp-exporter-base");
const { defaultResource, resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");

const [protocol, grpcUrl, httpUrl] = process.argv.slice(2);
const NANOS_A_SECOND = 1_000_000_000n;

function time(unixNano) {
  const nanos = BigInt(unixNano);
  return [Number(nanos / NANOS_A_SECOND), Number(nanos % NANOS_A_SECOND)];
}

function record(spans) {
  const finished = new InMemorySpanExporter();
  const contexts = new Map();
  for (const span of spans) {
    const provider = new BasicTracerProvider({
      resource: defaultResource().merge(resourceFromAttributes(span.resource)),
      idGenerator: { generateTraceId: () => span.trace_id, generateSpanId: () => span.span_id },
      spanProcessors: [new SimpleSpanProcessor(finished)],
    });
    const options = {
      kind: SpanKind[span.kind],
      attributes: span.attributes,
      startTime: time(span.start_unix_nano),
      links: (span.links ?? []).map((other) => ({ context: trace.getSpanContext(contexts.get(other)) })),
    };
    const parent = contexts.get(span.parent) ?? ROOT_CONTEXT;
    const recorded = provider.getTracer("export").startSpan(span.name, options, parent);
    contexts.set(span.span_id, trace.setSpan(ROOT_CONTEXT, recorded));
    if (span.failed) {
      recorded.setStatus({ code: SpanStatusCode.ERROR });
    }
    if (span.exception) {
      const attributes = { "exception.type": span.exception, "exception.message": "refused" };
      recorded.addEvent("exception", attributes, time(span.end_unix_nano));
    }
    recorded.end(time(span.end_unix_nano));
  }
  return finished;
}

function otlpExporter() {
  const { OTLPTraceExporter } = require(packages[protocol]);
  const url = protocol === "grpc" ? grpcUrl : `${httpUrl}/v1/traces`;
  return new OTLPTraceExporter({ url, compression: CompressionAlgorithm.GZIP });
}

function zipkinExporter() {
  const { ZipkinExporter } = require("@opentelemetry/exporter-zipkin");
  return new ZipkinExporter({ url: `${httpUrl}/api/v2/spans` });
}

const packages = {
  grpc: "@opentelemetry/exporter-trace-otlp-grpc",
  protobuf: "@opentelemetry/exporter-trace-otlp-proto",
  json: "@opentelemetry/exporter-trace-otlp-http",
};
const exporter = protocol === "zipkin" ? zipkinExporter() : otlpExporter();
const finished = record(JSON.parse(fs.readFileSync(0, "utf8")));

// A simple processor passes its spans on only when it has read their resources, which can be later.
setImmediate(() => {
  exporter.export(finished.getFinishedSpans(), (result) => {
    if (result.code !== 0) {
      console.error(result.error);
      process.exitCode = 1;
    }
    exporter.shutdown();
  });
});
