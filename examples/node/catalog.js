// The shop's catalogue: gets the price of an item from shipping over gRPC, then has its text hashed by a tunable-svc.
//
// A request's id is the caller's id and a number: 7a.2.1 is the first call made while serving 7a.2. The log alone therefore shows
// who called whom, independently of the tracing.
const path = require("node:path");
const express = require("express");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const LISTEN_HOST = process.env.LISTEN_HOST ?? "127.0.0.1";
const PORT = process.env.PORT ?? "8001";
const HASH_URL = process.env.HASH_URL ?? "http://127.0.0.1:8080";
const SHIPPING = process.env.SHIPPING_ADDRESS ?? "127.0.0.1:8003";
const TIMEOUT_MS = 120_000;

const { shop } = grpc.loadPackageDefinition(protoLoader.loadSync(path.join(__dirname, "shipping.proto")));
const shipping = new shop.Shipping(SHIPPING, grpc.credentials.createInsecure());

function log(line) {
  console.log(JSON.stringify(line));
}

function called(id, protocol, method, path, more) {
  log({ called: id, service: "catalog", protocol, method, path, ...more });
}

function quote(id, sku) {
  const metadata = new grpc.Metadata();
  metadata.set("x-request-id", id);
  return new Promise((resolve) => {
    shipping.quote({ sku }, metadata, { deadline: Date.now() + TIMEOUT_MS }, (error, answer) => {
      called(id, "rpc", "Quote", "shop.Shipping", { status: error?.code ?? 0 });
      resolve(answer?.cents ?? null);
    });
  });
}

async function hash(id, text) {
  const answer = await fetch(`${HASH_URL}/hash/sha256`, {
    method: "POST",
    headers: { "x-request-id": id },
    body: text,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const digest = await answer.text();
  const sizes = { bytes_out: Buffer.byteLength(text), bytes_in: Buffer.byteLength(digest) };
  called(id, "http", "POST", "/hash/sha256", { status: answer.status, ...sizes });
  return digest;
}

function serve(request, response, body) {
  const sizes = { bytes_in: 0, bytes_out: Buffer.byteLength(body) };
  const { method, path } = request;
  response.on("close", () => {
    const id = request.header("x-request-id");
    log({ served: id, service: "catalog", protocol: "http", method, path, status: response.statusCode, ...sizes });
  });
  response.type("text/plain").send(body);
}

const app = express();

app.get("/items/:sku", async (request, response) => {
  const id = request.header("x-request-id");
  const cents = await quote(`${id}.1`, Number(request.params.sku));
  const digest = await hash(`${id}.2`, `item ${request.params.sku} for ${cents}`);
  serve(request, response, `${cents} ${digest}`);
});

app.get("/texts/:sku", (request, response) => serve(request, response, `Dear customer, item ${request.params.sku} is yours.`));

const server = app.listen(Number(PORT), LISTEN_HOST);

// The tracing also stops on this signal, but does not end the process, which exits when its event loop is empty.
process.on("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
  shipping.close();
});
