// The shop's shipping service: quotes over gRPC the price of sending an item. Some items are too large.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os/signal"
	"syscall"

	"example.com/shop/shippingpb"
	"example.com/shop/telemetry"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type shipping struct {
	shippingpb.UnimplementedShippingServer
}

func (shipping) Quote(ctx context.Context, request *shippingpb.QuoteRequest) (*shippingpb.QuoteReply, error) {
	var err error
	if request.Sku%10 == 9 {
		err = status.Error(codes.OutOfRange, "too large")
	}
	var id string
	if ids := metadata.ValueFromIncomingContext(ctx, "x-request-id"); len(ids) > 0 {
		id = ids[0]
	}
	telemetry.Log(telemetry.Line{Served: id, Service: "shipping", Protocol: "rpc", Method: "Quote", Path: "shop.Shipping",
		Status: int(status.Code(err))})
	return &shippingpb.QuoteReply{Cents: 100 + request.Sku}, err
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	shutdown, err := telemetry.Start(ctx)
	if err != nil {
		return err
	}
	address := telemetry.Env("LISTEN_HOST", "127.0.0.1") + ":" + telemetry.Env("PORT", "8003")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	shippingpb.RegisterShippingServer(server, shipping{})
	go func() {
		<-ctx.Done()
		server.GracefulStop()
	}()
	return errors.Join(server.Serve(listener), shutdown(context.Background()))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
