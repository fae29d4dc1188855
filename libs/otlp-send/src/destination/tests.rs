//! Each option with its variables, according to the specification's table.

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::from_pairs(pairs.iter().copied())
}

fn traces(pairs: &[(&str, &str)]) -> Destination {
    let mut variables = variables(pairs);
    Destination::resolve(Signal::Traces, None, None, &Flags::default(), &mut variables)
        .unwrap()
        .unwrap()
}

fn refused(pairs: &[(&str, &str)]) -> String {
    let mut variables = variables(pairs);
    Destination::resolve(Signal::Traces, None, None, &Flags::default(), &mut variables)
        .unwrap_err()
        .to_string()
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");

#[test]
fn without_an_endpoint_nothing_is_sent() {
    let resolve = |pairs: &[(&str, &str)]| {
        let mut variables = variables(pairs);
        Destination::resolve(Signal::Traces, None, None, &Flags::default(), &mut variables)
    };
    assert_eq!(resolve(&[]), Ok(None));
    assert_eq!(resolve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
    let other = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:1");
    assert_eq!(resolve(&[other]), Ok(None));
}

#[test]
fn over_http_the_signals_path_is_appended_to_the_general_endpoint() {
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    for (endpoint, url) in [
        ("http://a:1", "http://a:1/v1/traces"),
        ("http://a:1/", "http://a:1/v1/traces"),
        ("http://a:1/base", "http://a:1/base/v1/traces"),
        ("http://a:1/base/", "http://a:1/base/v1/traces"),
        ("https://a", "https://a/v1/traces"),
    ] {
        let general = traces(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), http]);
        assert_eq!(general.url.as_str(), url);
    }
    for (endpoint, url) in [
        ("http://a:1", "http://a:1/"),
        ("http://a:1/mine", "http://a:1/mine"),
        ("http://a:1/mine/", "http://a:1/mine/"),
    ] {
        let own = traces(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint), http]);
        assert_eq!(own.url.as_str(), url);
    }
    assert_eq!(traces(&[ENDPOINT]).url.as_str(), "http://a:1/");
}

#[test]
fn a_signals_variable_overrides_the_general_one() {
    let all = [
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b:2"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "HTTP/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZIP"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "traces-ca"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "cert"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "traces-cert"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "traces-key"),
    ];
    let own = traces(&all);
    assert_eq!(own.to_string(), "https://b:2");
    assert_eq!(
        (own.protocol, own.compression),
        (Protocol::HttpProtobuf, Compression::Gzip)
    );
    assert_eq!(
        (own.headers.len(), &own.headers["b"]),
        (1, &HeaderValue::from_static("2"))
    );
    assert_eq!(own.timeout, Some(Duration::from_millis(2)));
    assert_eq!(own.tls.certificate, Some("traces-ca".into()));
    assert_eq!(own.tls.client, Some(("traces-cert".into(), "traces-key".into())));

    let mut variables = variables(&all);
    let metrics = Destination::resolve(Signal::Metrics, None, None, &Flags::default(), &mut variables);
    let metrics = metrics.unwrap().unwrap();
    assert_eq!(
        (metrics.to_string(), metrics.protocol),
        ("http://a:1".to_owned(), Protocol::Grpc)
    );
    assert_eq!(metrics.headers["a"], "1");
    assert_eq!(metrics.tls.client, Some(("cert".into(), "key".into())));
}

#[test]
fn a_flag_overrides_every_variable() {
    let mut variables = variables(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1"),
    ]);
    let flags = Flags {
        otlp_headers: Some("c=3".to_owned()),
        otlp_timeout_ms: Some(0),
        otlp_protocol: Some(Protocol::HttpProtobuf),
        ..Flags::default()
    };
    let mut resolve = |own, general| {
        let resolved = Destination::resolve(Signal::Traces, own, general, &flags, &mut variables);
        resolved.unwrap().unwrap()
    };
    let from_flag = resolve(None, Some("http://c:3"));
    assert_eq!(from_flag.to_string(), "http://c:3/v1/traces");
    assert_eq!(from_flag.headers["c"], "3");
    // The specification defines a timeout of 0 as no limit.
    assert_eq!(from_flag.timeout, None);
    assert_eq!(
        resolve(Some("http://d:4"), Some("http://c:3")).to_string(),
        "http://d:4"
    );
    assert_eq!(resolve(None, None).to_string(), "http://b:2");
}

#[test]
fn an_invalid_value_is_ignored_with_a_warning() {
    let mut variables = variables(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ]);
    let resolved = Destination::resolve(Signal::Traces, None, None, &Flags::default(), &mut variables);
    let resolved = resolved.unwrap().unwrap();
    assert_eq!(
        (resolved.protocol, resolved.compression, resolved.timeout),
        (Protocol::HttpProtobuf, Compression::None, Some(TIMEOUT))
    );
    let warnings = variables.take_warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn headers_are_percent_decoded_and_never_printed() {
    let headers = (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Authorization=Bearer%20SECRET, x-tenant=7",
    );
    let resolved = traces(&[ENDPOINT, headers]);
    assert_eq!(resolved.headers["authorization"], "Bearer SECRET");
    assert_eq!(resolved.headers["x-tenant"], "7");
    assert!(!format!("{resolved:?}").contains("SECRET"));
    for wrong in ["SECRET", "a=SECRET%", "a b=SECRET", "a=SECRET%0A"] {
        let error = refused(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]);
        assert!(
            error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("SECRET"),
            "{error}"
        );
    }
}

#[test]
fn an_invalid_endpoint_is_refused_with_the_reason() {
    for (endpoint, why) in [
        ("gopher://a:1", "not gopher"),
        ("127.0.0.1:4317", "no scheme"),
        ("localhost:4317", "no scheme"),
        ("http://", "empty host"),
        ("http://u:p@a:1", "user name or password"),
    ] {
        let error = refused(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert!(error.contains(why) && !error.contains("u:p"), "{error}");
    }
    let half = refused(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key")]);
    assert!(half.contains("belong together"), "{half}");
}

#[test]
fn a_command_that_always_sends_defaults_to_this_machine() {
    let local = |pairs: &[(&str, &str)]| {
        let mut variables = variables(pairs);
        Destination::resolve_or_local(Signal::Traces, None, &Flags::default(), &mut variables)
            .unwrap()
            .to_string()
    };
    assert_eq!(local(&[]), "http://127.0.0.1:4317");
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    assert_eq!(local(&[http]), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(local(&[ENDPOINT]), "http://a:1");
}
