// Package telemetry starts OpenTelemetry's SDK by the standard environment variables, and logs requests and calls in JSON lines.
//
// A request's id is that of its caller and a number: 7a.2.1 is the first call of whatever served 7a.2. So the log alone tells
// who called whom, whatever the tracing says.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Start returns what sends the last spans and ends it all.
func Start(ctx context.Context) (func(context.Context) error, error) {
	found, err := resource.New(ctx,
		resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID())
	if err != nil {
		return nil, err
	}
	spans, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, err
	}
	tracing := trace.NewTracerProvider(trace.WithResource(found), trace.WithBatcher(spans))
	metering := metric.NewMeterProvider(metric.WithResource(found), metric.WithReader(reader))
	otel.SetTracerProvider(tracing)
	otel.SetMeterProvider(metering)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return func(ctx context.Context) error {
		return errors.Join(tracing.Shutdown(ctx), metering.Shutdown(ctx))
	}, nil
}

// Env is a variable's value, or another where it is not set.
func Env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// Line is one request that was served or sent.
type Line struct {
	Served   string `json:"served,omitempty"`
	Called   string `json:"called,omitempty"`
	Service  string `json:"service"`
	Protocol string `json:"protocol"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	Status   int    `json:"status"`
	BytesIn  *int   `json:"bytes_in,omitempty"`
	BytesOut *int   `json:"bytes_out,omitempty"`
}

var lines = json.NewEncoder(os.Stdout)

// Log writes a line. Each is one write, so those of several goroutines stay whole.
func Log(line Line) {
	if err := lines.Encode(line); err != nil {
		log.Print(err)
	}
}
