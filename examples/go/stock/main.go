// The shop's stock: reserves items and stores the reservations in a key-value store. Some requests must be retried.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"example.com/shop/telemetry"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const timeout = 2 * time.Minute

type stock struct {
	client *http.Client
	kvURL  string
}

type reservation struct {
	SKU, Shelf, Attempt int
}

func (s *stock) reserve(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var wanted reservation
	if err == nil {
		err = json.Unmarshal(body, &wanted)
	}
	switch {
	case err != nil:
		answer(response, request, len(body), http.StatusBadRequest, err.Error())
	case wanted.Attempt == 0 && (wanted.SKU+wanted.Shelf)%3 == 0:
		answer(response, request, len(body), http.StatusServiceUnavailable, "ask again")
	default:
		status := s.keep(request, wanted)
		answer(response, request, len(body), http.StatusOK, fmt.Sprintf("kept: %d\n", status))
	}
}

// keep stores a reservation and returns the status of the store's answer; 0 without an answer.
func (s *stock) keep(request *http.Request, wanted reservation) int {
	id := request.Header.Get("x-request-id") + ".1"
	path, value := fmt.Sprintf("/kv/set/sku-%d", wanted.SKU), []byte(strconv.Itoa(wanted.Shelf))
	call, err := http.NewRequestWithContext(request.Context(), http.MethodPost, s.kvURL+path, bytes.NewReader(value))
	if err != nil {
		log.Print(err)
		return 0
	}
	call.Header.Set("x-request-id", id)
	var status int
	var kept []byte
	if reply, err := s.client.Do(call); err == nil {
		defer reply.Body.Close()
		status = reply.StatusCode
		kept, _ = io.ReadAll(reply.Body)
	}
	out, in := len(value), len(kept)
	telemetry.Log(telemetry.Line{Called: id, Service: "stock", Protocol: "http", Method: http.MethodPost, Path: path,
		Status: status, BytesOut: &out, BytesIn: &in})
	return status
}

func (s *stock) look(response http.ResponseWriter, request *http.Request) {
	answer(response, request, 0, http.StatusNotFound, "no such shelf\n")
}

func answer(response http.ResponseWriter, request *http.Request, in, status int, text string) {
	response.WriteHeader(status)
	out, err := io.WriteString(response, text)
	if err != nil {
		log.Print(err)
	}
	telemetry.Log(telemetry.Line{Served: request.Header.Get("x-request-id"), Service: "stock", Protocol: "http",
		Method: request.Method, Path: request.URL.Path, Status: status, BytesIn: &in, BytesOut: &out})
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	shutdown, err := telemetry.Start(ctx)
	if err != nil {
		return err
	}
	s := &stock{
		client: &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: timeout},
		kvURL:  telemetry.Env("KV_URL", "http://127.0.0.1:8080"),
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /reserve", s.reserve)
	routes.HandleFunc("GET /shelves/{shelf}", s.look)
	server := &http.Server{Addr: telemetry.Env("LISTEN_HOST", "127.0.0.1") + ":" + telemetry.Env("PORT", "8002"), Handler: otelhttp.NewHandler(routes, "stock")}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return errors.Join(server.Shutdown(context.Background()), shutdown(context.Background()))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
