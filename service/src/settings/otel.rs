//! OpenTelemetry's settings: flags of clap, resolved with the standard variables as the specification defines.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;
use otlp_send::{Destination, Flags, SettingsError, Signal, Variables, list};

/// Maximum for the queue size and the batch size, spans.
const SPANS_MAX: u64 = 1 << 24;

/// Flags of telemetry. clap does not read their OTEL_ variables: [`Variables`] does, as the specification defines.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct OtelFlags {
    /// Turn telemetry off [env: OTEL_SDK_DISABLED]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub otel_sdk_disabled: Option<bool>,
    /// URL of the OTLP receiver, such as http://127.0.0.1:4317 [env: OTEL_EXPORTER_OTLP_ENDPOINT] [default: none, no export]
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// URL of the OTLP receiver of spans; overrides --otlp-endpoint [env: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub otlp_traces_endpoint: Option<String>,
    /// URL of the OTLP receiver of metrics; overrides --otlp-endpoint [env: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub otlp_metrics_endpoint: Option<String>,
    #[command(flatten)]
    pub otlp: Flags,
    /// Interval of metric exports, milliseconds [env: OTEL_METRIC_EXPORT_INTERVAL] [default: 1000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..))]
    pub metric_export_interval_ms: Option<u64>,
    /// Maximum time that a finished span waits for a batch to fill, milliseconds
    /// [env: OTEL_BSP_SCHEDULE_DELAY] [default: 200]
    #[arg(long, value_name = "MS")]
    pub span_schedule_delay_ms: Option<u64>,
    /// Maximum number of spans kept in memory while the receiver is unavailable; further ones are dropped and counted
    /// [env: OTEL_BSP_MAX_QUEUE_SIZE] [default: 65536]
    #[arg(long, value_name = "SPANS", value_parser = clap::value_parser!(u64).range(1..=SPANS_MAX))]
    pub span_queue_size: Option<u64>,
    /// Maximum number of spans per export [env: OTEL_BSP_MAX_EXPORT_BATCH_SIZE] [default: 1024]
    #[arg(long, value_name = "SPANS", value_parser = clap::value_parser!(u64).range(1..=SPANS_MAX))]
    pub span_batch_size: Option<u64>,
    /// Maximum time on exit to send the last spans, milliseconds
    #[arg(long, env = "FLUSH_TIMEOUT_MS", default_value_t = 2000)]
    pub flush_timeout_ms: u64,
}

/// Resolved settings of telemetry.
#[derive(Debug, Clone)]
pub struct OtelSettings {
    pub is_disabled: bool,
    /// Receiver of spans; none turns them off.
    pub traces: Option<Destination>,
    /// Receiver of metrics; none turns them off.
    pub metrics: Option<Destination>,
    pub sampler: Sampler,
    pub temporality: Temporality,
    pub metric_export_interval: Duration,
    pub span_schedule_delay: Duration,
    pub span_queue_size: usize,
    pub span_batch_size: usize,
    pub flush_timeout: Duration,
    /// Explicit attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Reasons for which variables were ignored.
    pub warnings: Vec<String>,
}

impl Default for OtelSettings {
    fn default() -> Self {
        Self {
            is_disabled: false,
            traces: None,
            metrics: None,
            sampler: Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
            temporality: Temporality::Cumulative,
            metric_export_interval: Duration::from_secs(1),
            span_schedule_delay: Duration::from_millis(200),
            span_queue_size: 65_536,
            span_batch_size: 1024,
            flush_timeout: Duration::from_secs(2),
            resource: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl OtelSettings {
    /// Resolves each setting: a flag, else the variable, else the default.
    ///
    /// # Errors
    /// An invalid endpoint or header list. An invalid number or name is a warning.
    pub fn resolve(flags: &OtelFlags, mut variables: Variables) -> Result<Self, SettingsError> {
        let default = Self::default();
        let number = |flag: Option<u64>, name, range: RangeInclusive<u64>, variables: &mut Variables| {
            flag.or_else(|| variables.number(name, range))
        };
        let is_disabled = match flags.otel_sdk_disabled {
            Some(flag) => flag,
            None => variables.boolean("OTEL_SDK_DISABLED"),
        };
        let mut send = |signal, own: &Option<String>, exporter| {
            let is_exported = variables.parsed(exporter, parse_exporter).unwrap_or(true);
            if is_disabled || !is_exported {
                return Ok(None);
            }
            let (own, general) = (own.as_deref(), flags.otlp_endpoint.as_deref());
            Destination::resolve(signal, own, general, &flags.otlp, &mut variables)
        };
        let traces = send(
            Signal::Traces,
            &flags.otlp_traces_endpoint,
            "OTEL_TRACES_EXPORTER",
        )?;
        let metrics = send(
            Signal::Metrics,
            &flags.otlp_metrics_endpoint,
            "OTEL_METRICS_EXPORTER",
        )?;
        let v = &mut variables;
        let interval = number(
            flags.metric_export_interval_ms,
            "OTEL_METRIC_EXPORT_INTERVAL",
            10..=u64::from(u32::MAX),
            v,
        );
        let delay = number(
            flags.span_schedule_delay_ms,
            "OTEL_BSP_SCHEDULE_DELAY",
            0..=u64::from(u32::MAX),
            v,
        );
        let queue = number(flags.span_queue_size, "OTEL_BSP_MAX_QUEUE_SIZE", 1..=SPANS_MAX, v);
        let batch = number(
            flags.span_batch_size,
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            1..=SPANS_MAX,
            v,
        );
        Ok(Self {
            is_disabled,
            traces,
            metrics,
            sampler: sampler(v).unwrap_or(default.sampler),
            temporality: v
                .parsed("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", |text| {
                    text.parse().ok()
                })
                .unwrap_or(default.temporality),
            metric_export_interval: interval.map_or(default.metric_export_interval, Duration::from_millis),
            span_schedule_delay: delay.map_or(default.span_schedule_delay, Duration::from_millis),
            span_queue_size: queue.map_or(default.span_queue_size, |spans| spans as usize),
            span_batch_size: batch.map_or(default.span_batch_size, |spans| spans as usize),
            flush_timeout: Duration::from_millis(flags.flush_timeout_ms),
            resource: resource(v),
            warnings: variables.take_warnings(),
        })
    }

    /// Sends all telemetry to this OTLP/gRPC receiver, regardless of flags and variables.
    ///
    /// # Errors
    /// An invalid endpoint.
    pub fn send_to(&mut self, endpoint: &str) -> Result<(), SettingsError> {
        self.traces = Some(Destination::plain(Signal::Traces, endpoint)?);
        self.metrics = Some(Destination::plain(Signal::Metrics, endpoint)?);
        Ok(())
    }
}

/// The attributes in OTEL_RESOURCE_ATTRIBUTES. OTEL_SERVICE_NAME overrides their service.name.
fn resource(variables: &mut Variables) -> Vec<(String, String)> {
    let listed = variables
        .text("OTEL_RESOURCE_ATTRIBUTES")
        .map(list::parse)
        .transpose();
    let mut attributes = listed.unwrap_or_else(|error| {
        variables.warn(format!("OTEL_RESOURCE_ATTRIBUTES is ignored: {error}"));
        None
    });
    let name = variables
        .text("OTEL_SERVICE_NAME")
        .map(|name| ("service.name".to_owned(), name.to_owned()));
    let mut all = attributes.take().unwrap_or_default();
    all.extend(name);
    all
}

/// Whether a signal is exported; OTLP is the only exporter.
fn parse_exporter(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "otlp" => Some(true),
        "none" => Some(false),
        _ => None,
    }
}

fn sampler(variables: &mut Variables) -> Option<Sampler> {
    let ratio = variables
        .text("OTEL_TRACES_SAMPLER_ARG")
        .and_then(|text| text.trim().parse::<f64>().ok())
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .unwrap_or(1.0);
    variables.parsed("OTEL_TRACES_SAMPLER", |text| {
        let name = text.to_ascii_lowercase();
        let (is_parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.as_str()),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(ratio),
            _ => return None,
        };
        Some(if is_parent_based {
            Sampler::ParentBased(Box::new(root))
        } else {
            root
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> OtelSettings {
        OtelSettings::resolve(
            &OtelFlags::default(),
            Variables::from_pairs(pairs.iter().copied()),
        )
        .unwrap()
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

    #[test]
    fn only_true_turns_telemetry_off() {
        for (value, is_off, warnings) in [
            ("true", true, 0),
            ("TRUE", true, 0),
            ("1", false, 1),
            ("", false, 0),
        ] {
            let settings = resolve(&[ENDPOINT, ("OTEL_SDK_DISABLED", value)]);
            assert_eq!(
                settings.traces.is_none() && settings.metrics.is_none(),
                is_off,
                "{value}"
            );
            assert_eq!(settings.warnings.len(), warnings, "{value}");
        }
    }

    #[test]
    fn a_signal_can_be_turned_off_alone() {
        let settings = resolve(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "None")]);
        assert!(settings.traces.is_some() && settings.metrics.is_none());
        let settings = resolve(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "console")]);
        assert!(settings.traces.is_some() && settings.warnings.len() == 1);
    }

    #[test]
    fn invalid_numbers_leave_the_default() {
        for name in [
            "OTEL_METRIC_EXPORT_INTERVAL",
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        ] {
            let values = |settings: &OtelSettings| {
                (
                    settings.metric_export_interval,
                    settings.span_schedule_delay,
                    settings.span_queue_size,
                    settings.span_batch_size,
                )
            };
            let set = resolve(&[(name, "77")]);
            assert_ne!(values(&set), values(&OtelSettings::default()), "{name}");
            let wrong = resolve(&[(name, "-1")]);
            assert_eq!(values(&wrong), values(&OtelSettings::default()), "{name}");
            assert!(wrong.warnings[0].contains(name), "{:?}", wrong.warnings);
        }
    }

    #[test]
    fn resource_attributes_are_percent_decoded() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let listed = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "cctf.node_id=node%201%2C2,service.name=a",
        );
        let both = resolve(&[listed, ("OTEL_SERVICE_NAME", "b")]).resource;
        let expected = [
            pair("cctf.node_id", "node 1,2"),
            pair("service.name", "a"),
            pair("service.name", "b"),
        ];
        assert_eq!(both, expected);
        let wrong = resolve(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b=%zz"),
            ("OTEL_SERVICE_NAME", "b"),
        ]);
        assert_eq!(wrong.resource, [pair("service.name", "b")]);
        assert!(wrong.warnings[0].contains("OTEL_RESOURCE_ATTRIBUTES"));
    }

    #[test]
    fn samplers_and_temporality_have_the_specifications_names() {
        let sampler = |name, arg| {
            let pairs = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
            format!("{:?}", resolve(&pairs).sampler)
        };
        assert_eq!(sampler("always_off", ""), "AlwaysOff");
        assert_eq!(sampler("TraceIdRatio", "0.25"), "TraceIdRatioBased(0.25)");
        assert_eq!(sampler("traceidratio", "7"), "TraceIdRatioBased(1.0)");
        assert_eq!(sampler("parentbased_always_off", ""), "ParentBased(AlwaysOff)");
        assert_eq!(sampler("", ""), "ParentBased(AlwaysOn)");
        assert_eq!(resolve(&[("OTEL_TRACES_SAMPLER", "best")]).warnings.len(), 1);
        let temporality = |value| {
            let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
            resolve(&[(name, value)]).temporality
        };
        assert_eq!(temporality("Delta"), Temporality::Delta);
        assert_eq!(temporality("other"), Temporality::Cumulative);
    }
}
