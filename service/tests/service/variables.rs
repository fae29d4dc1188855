//! Variables of OpenTelemetry, read by the real binary.

use crate::receiver;
use crate::spawn::spawn;

#[test]
fn only_true_turns_telemetry_off() {
    for (value, spans, warnings) in [
        ("true", 0, 0),
        ("TRUE", 0, 0),
        ("1", 1, 1),
        ("yes", 1, 1),
        ("", 1, 0),
    ] {
        let receiver = receiver::start();
        let service = spawn(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
            ("OTEL_SDK_DISABLED", value),
        ]);
        service.post("/hash/sha256", b"x");
        let ended = service.stop();
        let received = receiver.spans();
        let served = received
            .iter()
            .filter(|received| received.span.name == "POST /hash/sha256");
        assert_eq!(served.count(), spans, "{value}");
        assert_eq!(
            ended.stderr.matches("OTEL_SDK_DISABLED").count(),
            warnings,
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn an_invalid_number_or_name_is_ignored_with_a_warning() {
    let receiver = receiver::start();
    let wrong = [
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ];
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str());
    let service = spawn(&[&[endpoint], &wrong[..]].concat());
    service.post("/hash/sha256", b"x");
    let ended = service.stop();
    receiver.span("POST /hash/sha256");
    for (name, value) in wrong {
        let warning = format!("{name} is ignored: invalid value {value:?}");
        assert_eq!(ended.stderr.matches(&warning).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn the_configured_sampler_decides_what_is_recorded() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("OTEL_TRACES_SAMPLER", "Always_Off"),
    ]);
    service.post("/hash/sha256", b"x");
    service.stop();
    let received = receiver.spans();
    assert!(
        received
            .iter()
            .all(|received| received.span.name != "POST /hash/sha256")
    );
}
