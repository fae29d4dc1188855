//! A test program whose calls depend on each other in known ways. It reports OpenTelemetry spans like any instrumented
//! application.
//!
//! If it has callees (`--call`), it has one route for each pattern. Otherwise it is a callee, which answers after the time that
//! a request states.
//!
//! - [`patterns`]: the patterns, as code. [`request`]: a request, and the calls that it makes.
//! - [`telemetry`]: the spans, and their export over OTLP.

mod patterns;
mod request;
mod telemetry;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use e2e::branches::ROUTES;
use http::{Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use request::{Program, Request};
use telemetry::Telemetry;

/// A test program whose calls depend on each other in known ways.
#[derive(Parser)]
struct Flags {
    /// Name of this service.
    #[arg(long)]
    name: String,
    /// URL of the OTLP receiver, gRPC.
    #[arg(long)]
    otlp_endpoint: String,
    /// Name and URL of a callee, such as a=http://127.0.0.1:4001. Repeatable.
    #[arg(long = "call", value_name = "NAME=URL", value_parser = callee)]
    calls: Vec<(String, String)>,
}

fn callee(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("not NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

/// The only route of a callee.
const WORK: &str = "/work";

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let telemetry = Arc::new(Telemetry::new(&flags.name, flags.otlp_endpoint));
    let program = Arc::new(Program::new(
        flags.calls.into_iter().collect(),
        Arc::clone(&telemetry),
    ));
    std::thread::spawn({
        let telemetry = Arc::clone(&telemetry);
        move || telemetry.export_forever()
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(&program))?;
    telemetry.export()
}

/// Answers requests until it receives SIGTERM.
async fn serve(program: &Arc<Program>) -> anyhow::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{{\"listening\": \"http://{}\"}}", listener.local_addr()?);
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (stream, _) = connection?;
                tokio::spawn(answer_all(Arc::clone(program), stream));
            }
            _ = end.recv() => return Ok(()),
        }
    }
}

async fn answer_all(program: Arc<Program>, stream: TcpStream) {
    let answer = service_fn(|request| answer(Arc::clone(&program), request));
    let served = async {
        stream.set_nodelay(true)?;
        let connection = hyper::server::conn::http1::Builder::new();
        anyhow::Ok(connection.serve_connection(TokioIo::new(stream), answer).await?)
    };
    // A client that closes its connection causes no error.
    let _ = served.await;
}

/// Answers a request. The body is empty.
async fn answer(
    program: Arc<Program>,
    request: http::Request<Incoming>,
) -> anyhow::Result<Response<Empty<Bytes>>> {
    let (parts, _) = request.into_parts();
    let route = ROUTES.into_iter().find(|route| *route == parts.uri.path());
    let request = Request::begin(program, route.unwrap_or(WORK), &parts.headers);
    let done = match route {
        Some(route) => patterns::execute(route, request.clone())
            .await
            .map(|()| StatusCode::OK),
        None => work(parts.uri.query().unwrap_or_default()).await,
    };
    let status = done.unwrap_or_else(|error| {
        eprintln!("branches: {error:#}");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    request.end(status);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// Waits for the time in the query, such as `us=7250`. If the query contains `fails`, the answer is a failure.
async fn work(query: &str) -> anyhow::Result<StatusCode> {
    let us = query.split('&').find_map(|part| part.strip_prefix("us="));
    let us: u64 = us.context("the query has no time")?.parse()?;
    ensure!(us < 10_000_000, "a time of more than ten seconds");
    tokio::time::sleep(Duration::from_micros(us)).await;
    Ok(match query.ends_with("&fails") {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    })
}
