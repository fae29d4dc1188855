// Package telemetry configures OpenTelemetry's SDK from the standard environment variables, and logs requests and calls as JSON lines.
//
// A request's id is the caller's id and a number: 7a.2.1 is the first call made while serving 7a.2. The log alone therefore shows
// who called whom, independently of the tracing.
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

// Start starts the SDK. The returned function sends the last spans and stops it.
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

// Env returns a variable's value, or otherwise if it is empty or unset.
func Env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// Line is the log entry of a request that was served or sent.
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

// Log writes a line with a single write, so lines of concurrent goroutines do not mix.
func Log(line Line) {
	if err := lines.Encode(line); err != nil {
		log.Print(err)
	}
}
