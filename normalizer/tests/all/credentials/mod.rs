//! TLS, client certificates and tokens: tests of the real binary with real clients.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::support::certificates::{Authority, Pair};
use crate::support::process::{self, Process};

/// A running binary whose files a test can change. It is killed when this is dropped.
struct Normalizer {
    folder: TempDir,
    stderr: BufReader<ChildStderr>,
    process: Process,
}

/// A folder with the files `cert`, `key`, `ca` and `tokens`.
fn folder(authority: &Authority) -> TempDir {
    let folder = TempDir::new().unwrap();
    write_pair(folder.path(), &authority.pair());
    fs::write(folder.path().join("ca"), authority.pem()).unwrap();
    fs::write(folder.path().join("tokens"), "first\nsecond\n").unwrap();
    folder
}

fn write_pair(folder: &Path, pair: &Pair) {
    fs::write(folder.join("cert"), &pair.cert).unwrap();
    fs::write(folder.join("key"), &pair.key).unwrap();
}

const TLS: [&str; 4] = ["--tls-cert", "cert", "--tls-key", "key"];
const CLIENT_CA: [&str; 2] = ["--tls-client-ca", "ca"];
const TOKENS: [&str; 2] = ["--token-file", "tokens"];

fn command(folder: &Path, flags: &[&[&str]]) -> Command {
    let mut command = process::command();
    command.current_dir(folder).args(flags.concat());
    command
}

impl Normalizer {
    fn start(folder: TempDir, flags: &[&[&str]]) -> Self {
        let mut process = Process::start(command(folder.path(), flags).stderr(Stdio::piped()));
        Self {
            folder,
            stderr: BufReader::new(process.child.stderr.take().unwrap()),
            process,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self, of: &str) -> SocketAddr {
        self.process.address(of).parse().unwrap()
    }

    fn hang_up(&self) {
        self.process.signal("-HUP");
    }

    /// Shuts the process down and returns the rest of its standard error.
    fn end(mut self) -> String {
        self.process.stop();
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        log
    }

    /// The next line of standard error.
    fn next_log_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }
}

/// One call on a new connection; a connection error is returned as its status.
async fn call(endpoint: Endpoint, token: Option<&str>) -> Result<(), Status> {
    let failed = |error: tonic::transport::Error| Status::from_error(Box::new(error));
    let channel: Channel = endpoint.connect().await.map_err(failed)?;
    let mut request = tonic::Request::new(ExportTraceServiceRequest::default());
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    TraceServiceClient::new(channel).export(request).await.map(drop)
}

/// An endpoint over TLS. The client trusts `trusted` and presents the certificate `shown`.
fn over_tls(normalizer: &Normalizer, trusted: &Authority, shown: Option<&Pair>) -> Endpoint {
    let mut tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(trusted.pem()));
    if let Some(pair) = shown {
        tls = tls.identity(Identity::from_pem(&pair.cert, &pair.key));
    }
    let url = format!("https://{}", normalizer.address("grpc"));
    Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap()
}

fn over_tcp(normalizer: &Normalizer) -> Endpoint {
    Endpoint::from_shared(format!("http://{}", normalizer.address("grpc"))).unwrap()
}

#[tokio::test]
async fn only_a_client_that_trusts_the_ca_is_served() {
    let (authority, other) = (Authority::new(), Authority::new());
    let normalizer = Normalizer::start(folder(&authority), &[&TLS]);
    assert!(
        normalizer.process.addresses["http"]
            .as_str()
            .unwrap()
            .starts_with("https://")
    );
    call(over_tls(&normalizer, &authority, None), None).await.unwrap();
    call(over_tls(&normalizer, &other, None), None).await.unwrap_err();
    call(over_tcp(&normalizer), None).await.unwrap_err();
    // The two failures did not affect the listener.
    call(over_tls(&normalizer, &authority, None), None).await.unwrap();
}

#[tokio::test]
async fn a_client_must_present_a_certificate_of_the_ca() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut normalizer = Normalizer::start(folder(&authority), &[&TLS, &CLIENT_CA]);
    for shown in [None, Some(other.pair()), Some(authority.expired_pair())] {
        call(over_tls(&normalizer, &authority, shown.as_ref()), None)
            .await
            .unwrap_err();
    }
    call(over_tls(&normalizer, &authority, Some(&authority.pair())), None)
        .await
        .unwrap();
    let log = normalizer.next_log_line();
    assert!(
        log.contains("the TLS handshake with 127.0.0.1:") && log.contains("certificate"),
        "{log}"
    );
}

#[tokio::test]
async fn a_request_must_present_a_token() {
    let authority = Authority::new();
    for flags in [&[&TOKENS[..]][..], &[&TLS, &TOKENS]] {
        let normalizer = Normalizer::start(folder(&authority), flags);
        let endpoint = || match flags.len() {
            1 => over_tcp(&normalizer),
            _ => over_tls(&normalizer, &authority, None),
        };
        for token in ["first", "second"] {
            call(endpoint(), Some(token)).await.unwrap();
        }
        for token in [None, Some("third"), Some("firs"), Some("")] {
            let refused = call(endpoint(), token).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}: {refused}");
            assert!(
                refused.message().contains("missing or invalid bearer token"),
                "{refused}"
            );
            // If the answer had a retry delay, a client would send the request again.
            assert!(refused.details().is_empty(), "{refused:?}");
        }
    }
}

// The runtime needs two threads: with one, the client could not close its connection while the test waits.
#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_handshake_delay_no_client_and_no_shutdown() {
    let authority = Authority::new();
    let normalizer = Normalizer::start(folder(&authority), &[&TLS]);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(normalizer.address("grpc")).await.unwrap());
    }
    call(over_tls(&normalizer, &authority, None), None).await.unwrap();
    let log = normalizer.end();
    assert!(!log.contains("still in progress"), "{log}");
}

/// Sends one POST over HTTP/1 or HTTP/2. TLS negotiates exactly this protocol.
async fn post(
    normalizer: &Normalizer,
    authority: &Authority,
    version: Version,
    headers: &[(&str, &str)],
) -> Response<Bytes> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let protocol = if version == Version::HTTP_2 {
        "h2"
    } else {
        "http/1.1"
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(normalizer.address("http")).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));

    let mut request = Request::post("https://localhost/v1/traces").header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from_static(b"{}"));
    let request = request.body(body).unwrap();
    let io = TokioIo::new(stream);
    let response = if version == Version::HTTP_2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn both_http_versions_are_negotiated_and_answer_a_missing_token() {
    let authority = Authority::new();
    let normalizer = Normalizer::start(folder(&authority), &[&TLS, &TOKENS]);
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (json, token) = (
            ("content-type", "application/json"),
            ("authorization", "Bearer first"),
        );
        let taken = post(&normalizer, &authority, version, &[json, token]).await;
        assert_eq!((taken.status().as_u16(), &taken.body()[..]), (200, &b"{}"[..]));

        let refused = post(&normalizer, &authority, version, &[json]).await;
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        assert_eq!(refused.headers()["content-type"], "application/json");
        assert_eq!(refused.headers().get("retry-after"), None);
        let status: Value = serde_json::from_slice(refused.body()).unwrap();
        assert_eq!(status["code"], json!(16));

        let protobuf = ("content-type", "application/x-protobuf");
        let refused = post(&normalizer, &authority, version, &[protobuf]).await;
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["content-type"], "application/x-protobuf");
        let message = String::from_utf8_lossy(refused.body());
        assert!(message.contains("missing or invalid bearer token"), "{message:?}");
    }
}

#[tokio::test]
async fn sighup_reloads_certificates_and_tokens_and_a_bad_file_keeps_the_old() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut normalizer = Normalizer::start(folder(&old), &[&TLS, &TOKENS]);
    fs::write(normalizer.path("key"), "no key").unwrap();
    fs::write(normalizer.path("tokens"), "not a token\n").unwrap();
    normalizer.hang_up();
    let log = normalizer.next_log_line();
    assert!(
        log.starts_with("warning: cannot reload the certificates: cannot read key for --tls-key: "),
        "{log}"
    );
    let log = normalizer.next_log_line();
    assert!(
        log.starts_with("warning: cannot reload the tokens: invalid token in line 1 of tokens"),
        "{log}"
    );
    call(over_tls(&normalizer, &old, None), Some("first"))
        .await
        .unwrap();

    write_pair(normalizer.folder.path(), &new.pair());
    fs::write(normalizer.path("tokens"), "third\n").unwrap();
    normalizer.hang_up();
    for what in ["certificates", "tokens"] {
        assert_eq!(
            normalizer.next_log_line(),
            format!("cctf-normalizer: reloaded the {what}\n")
        );
    }
    call(over_tls(&normalizer, &new, None), Some("third"))
        .await
        .unwrap();
    call(over_tls(&normalizer, &old, None), Some("third"))
        .await
        .unwrap_err();
    let refused = call(over_tls(&normalizer, &new, None), Some("first")).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn invalid_files_prevent_the_start_with_one_sentence() {
    let authority = Authority::new();
    let folder = folder(&authority);
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(folder.path().join("other-key"), authority.pair().key).unwrap();
    for (flags, code, sentence) in [
        (&["--tls-cert", "cert"][..], 2, "--tls-key <FILE>"),
        (&["--tls-client-ca", "ca"], 2, "--tls-cert <FILE>"),
        (
            &["--tls-cert", "none", "--tls-key", "key"],
            1,
            "cannot read none for --tls-cert: ",
        ),
        (
            &["--tls-cert", "empty", "--tls-key", "key"],
            1,
            "cannot use empty for --tls-cert: it has no certificate",
        ),
        (
            &["--tls-cert", "cert", "--tls-key", "other-key"],
            1,
            "cannot use the certificate cert with the key other-key: ",
        ),
        (&["--token-file", "none"], 1, "cannot read none: "),
        (&["--token-file", "empty"], 1, "cannot use the 0 tokens in empty"),
    ] {
        let output = command(folder.path(), &[flags]).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert!(log.contains(sentence) && log.lines().count() == 1, "{log}");
    }
}

#[test]
fn a_listener_that_others_can_reach_warns_only_without_tls_and_token() {
    let authority = Authority::new();
    let everywhere = ["--grpc-listen", "0.0.0.0:0", "--http-listen", "0.0.0.0:0"];
    for (flags, warnings) in [
        (&[&everywhere[..]][..], 2),
        (&[&everywhere, &TLS], 0),
        (&[&everywhere, &TOKENS], 0),
    ] {
        let normalizer = Normalizer::start(folder(&authority), flags);
        let log = normalizer.end();
        assert_eq!(log.matches("without TLS and tokens").count(), warnings, "{log}");
    }
}
