//! Tests how the real Collector reacts to each status code. This is the reason for the codes that the receiver uses.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use e2e::child::{Child, wait_for};
use e2e::otlp;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tonic::{Code, Request, Response, Status};

use e2e::binaries::bin_dir;
use e2e::collector::Collector;
use e2e::ports::free_ports;
use e2e::rows;

/// Status codes, and whether the Collector sends the request again. The normalizer uses the first four. For internal failures
/// it uses UNAVAILABLE, because the Collector drops the data after INTERNAL and UNKNOWN.
const CODES: [(Code, bool); 8] = [
    (Code::InvalidArgument, false),
    (Code::ResourceExhausted, false),
    (Code::Unauthenticated, false),
    (Code::Unavailable, true),
    (Code::Internal, false),
    (Code::Unknown, false),
    (Code::DeadlineExceeded, true),
    (Code::Aborted, true),
];

/// A receiver. Its first answer to a request is the code with the number of the request's span. The second time, it accepts the
/// request.
#[derive(Clone, Default)]
struct Stub {
    seen: Arc<Mutex<HashMap<u8, u32>>>,
}

#[tonic::async_trait]
impl TraceService for Stub {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let number = request.get_ref().resource_spans[0].scope_spans[0].spans[0].span_id[0];
        let mut seen = self.seen.lock().unwrap();
        let times = seen.entry(number).or_default();
        *times += 1;
        match CODES.get(usize::from(number) - 1) {
            Some((code, _)) if *times == 1 => Err(Status::new(*code, "as asked for")),
            _ => Ok(Response::new(ExportTraceServiceResponse::default())),
        }
    }
}

#[test]
fn only_retryable_refusals_are_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports().unwrap();
    let stub = Stub::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = TraceServiceServer::new(stub.clone());
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    runtime.spawn(
        tonic::transport::Server::builder()
            .add_service(served)
            .serve(address),
    );
    let mut collector = Collector::new(folder.path(), port, &[]).unwrap();
    collector.start().unwrap();
    // Codes without a retry come first: if there were a retry, it would arrive before the expected ones.
    let numbers = |again: bool| {
        (1..)
            .zip(CODES)
            .filter(move |(_, (_, retried))| *retried == again)
            .map(|(number, _)| number)
    };
    for number in numbers(false).chain(numbers(true)) {
        let body = otlp::request(vec![otlp::span(number)]).encode_to_vec();
        otlp::export(&collector.url(), body).unwrap().unwrap();
    }
    wait_for("all retries", || {
        let seen = stub.seen.lock().unwrap();
        Ok(numbers(true)
            .all(|number| seen.get(&number) == Some(&2))
            .then_some(()))
    })
    .unwrap();
    let seen = stub.seen.lock().unwrap();
    for (number, (code, retried)) in (1..).zip(CODES) {
        assert_eq!(seen[&number], 1 + u32::from(retried), "{code:?}");
    }
}

/// A Collector in front of a normalizer, and the file of its invocations.
fn start(folder: &Path) -> (Collector, Child, PathBuf) {
    let logs = folder.join("logs");
    let flags = ["--run-id", "r", "--join-window", "1s"];
    let normalizer = Child::normalizer(&bin_dir().unwrap(), &logs, &flags).unwrap();
    let port = normalizer.address("grpc").unwrap().port();
    let mut collector = Collector::new(folder, port, &[]).unwrap();
    collector.start().unwrap();
    (collector, normalizer, logs.join("r/cctf/invocations.jsonl"))
}

/// The Collector drops a refused request as a whole. So the normalizer must not refuse a request because of one unusable row.
#[test]
fn a_request_with_unusable_rows_keeps_its_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, _normalizer, invocations) = start(folder.path());
    let mut spans = vec![otlp::span(1), otlp::span(2), otlp::span(3), otlp::span(4)];
    spans[1].attributes = vec![otlp::attribute("cctf.run_id", "../../etc")];
    spans[2].end_time_unix_nano = spans[2].start_time_unix_nano - 1;
    let body = otlp::request(spans).encode_to_vec();
    otlp::export(&collector.url(), body).unwrap().unwrap();
    wait_for("the valid rows", || {
        let rows = rows::lines(&invocations).unwrap_or_default();
        Ok((rows.len() >= 2).then_some(()))
    })
    .unwrap();
    let ids: Vec<String> = rows::lines(&invocations)
        .unwrap()
        .iter()
        .map(|row| rows::text(row, "span_id").unwrap().to_owned())
        .collect();
    assert!(
        ids.contains(&"01".repeat(8)) && ids.contains(&"04".repeat(8)),
        "{ids:?}"
    );
    assert!(!ids.contains(&"02".repeat(8)), "{ids:?}");
}

/// SDKs send attributes that are not UTF-8, and the Collector forwards them. The rest of the batch must be kept.
#[test]
fn a_batch_with_text_that_is_not_utf8_keeps_all_its_rows() {
    const SPANS: u8 = 100;
    const MARK: &[u8] = b"<not text>";
    let folder = tempfile::tempdir().unwrap();
    let (collector, _normalizer, invocations) = start(folder.path());
    let mut spans: Vec<_> = (1..=SPANS).map(otlp::span).collect();
    spans[41].attributes = vec![otlp::attribute("a.header", "x<not text>")];
    let mut body = otlp::request(spans).encode_to_vec();
    let at = body
        .windows(MARK.len())
        .position(|window| window == MARK)
        .unwrap();
    body[at..at + MARK.len()].fill(0xff);
    otlp::export(&collector.url(), body).unwrap().unwrap();
    let rows = wait_for("all rows", || {
        let rows = rows::lines(&invocations).unwrap_or_default();
        Ok((rows.len() >= usize::from(SPANS)).then_some(rows))
    })
    .unwrap();
    assert_eq!(rows.len(), usize::from(SPANS));
    let flagged: Vec<_> = rows
        .iter()
        .filter(|row| row.get("flags").is_some())
        .map(|row| (rows::text(row, "span_id").unwrap(), row["flags"].to_string()))
        .collect();
    assert_eq!(flagged, [(&*"2a".repeat(8), r#"["truncated"]"#.to_owned())]);
}
