//! `cctf event`: whoever scales and moves modules tells so, as one control span over OTLP.

use std::process::ExitCode;
use std::time::Duration;

use cctf_proto::cctf::PlacementKind;
use cctf_proto::keys;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::flags::parse_stage;
use super::{DONE, otlp};
use cctf_load::clock;
use cctf_load::export::Exporter;
use cctf_load::spans::{control_request, integer, text};

/// How long the receiver may take to accept it.
const TIMEOUT: Duration = Duration::from_secs(10);

const AFTER_HELP: &str = "\
Examples:
  The deployment's script has given the module stock a third instance, on edge0:
    cctf event scale --app-id shop --module stock --replicas 3 --node edge0 --reason 'cpu over 80%'
  It has moved the module front from edge0 to cloud0:
    cctf event migrate --app-id shop --module front --from edge0 --node cloud0
  The same, told to the Collector of `make up`, with what is known of the instance that serves now:
    cctf event migrate --app-id shop --module front --from edge0 --node cloud0 --stage cloud --instance front-7f9c \\
      --otlp-endpoint http://127.0.0.1:4317

Each is one row of placement_events.jsonl in every run that is open, with the time at which this command was called and with
inferred false. What is concluded from telemetry alone is written besides, with inferred true: told events annotate, they
neither begin nor end the life of an instance. --module, --app-id and --node are the names that the telemetry has: service.name,
service.namespace where it tells one, and the node of invocations.jsonl. Under other names they are another module's.

Exit codes:
  0  the receiver has it
  1  the receiver does not answer or has refused it
  2  a flag or variable is wrong";

/// Flags of `cctf event`.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_long_help = AFTER_HELP, after_help = "More, with examples and exit codes: cctf event --help")]
pub struct EventArgs {
    #[command(subcommand)]
    event: Event,
}

/// What happened.
#[derive(Debug, Clone, Subcommand)]
enum Event {
    /// A module has another number of live instances.
    Scale {
        #[command(flatten)]
        of: Subject,
        /// How many live now.
        #[arg(long)]
        replicas: u32,
    },
    /// A module has moved to a node from another one.
    Migrate {
        #[command(flatten)]
        of: Subject,
        /// Node that it has left.
        #[arg(long, value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
        from: String,
    },
}

/// What it happened to, and who is told.
#[derive(Debug, Clone, Args)]
struct Subject {
    /// The module, as its telemetry names it (service.name).
    #[arg(long, env = "MODULE_ID", value_parser = NonEmptyStringValueParser::new())]
    module: String,
    /// Application of the module, if its telemetry tells one (service.namespace).
    #[arg(long, env = "APP_ID")]
    app_id: Option<String>,
    /// The instance that came, went or serves now. Default: the event is of the module.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    instance: Option<String>,
    /// Node where it happened; for migrate, the one moved to.
    #[arg(long, env = "NODE_ID", value_parser = NonEmptyStringValueParser::new())]
    node: String,
    /// Stage of that node: endpoint, edge, cloud or unknown.
    #[arg(long, env = "STAGE", value_parser = parse_stage)]
    stage: Option<String>,
    /// Why, in words.
    #[arg(long)]
    reason: Option<String>,
    /// Normalizer or Collector that takes OTLP [env: OTEL_EXPORTER_OTLP_ENDPOINT] [default: http://127.0.0.1:4317].
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
}

/// Runs the subcommand.
pub fn run(args: &EventArgs) -> anyhow::Result<ExitCode> {
    let at_unix_ns = clock::unix_ns();
    let of = args.event.of();
    let resource = of.resource();
    let request = control_request(
        &resource,
        keys::PLACEMENT_SPAN,
        at_unix_ns,
        args.event.attributes(),
    );
    let destination = otlp::destination_or_local(of.otlp_endpoint.as_deref(), &of.otlp)?;
    Exporter::start(&destination, &resource)?.send_control(keys::PLACEMENT_SPAN, request, TIMEOUT)?;
    Ok(ExitCode::from(DONE))
}

impl Event {
    fn of(&self) -> &Subject {
        match self {
            Self::Scale { of, .. } | Self::Migrate { of, .. } => of,
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let (kind, own) = match self {
            Self::Scale { replicas, .. } => (
                PlacementKind::Scale,
                integer(keys::REPLICAS, i64::from(*replicas)),
            ),
            Self::Migrate { from, .. } => (PlacementKind::Migrate, text(keys::FROM_NODE_ID, from)),
        };
        let reason = self.of().reason.as_ref().map(|reason| text(keys::REASON, reason));
        [text(keys::PLACEMENT_EVENT, kind.as_str()), own]
            .into_iter()
            .chain(reason)
            .collect()
    }
}

impl Subject {
    /// That of the module, not of this process.
    fn resource(&self) -> Resource {
        let told = [
            ("service.name", Some(&self.module)),
            ("service.namespace", self.app_id.as_ref()),
            ("service.instance.id", self.instance.as_ref()),
            (keys::NODE_ID, Some(&self.node)),
            (keys::STAGE, self.stage.as_ref()),
        ];
        Resource {
            attributes: told
                .into_iter()
                .filter_map(|(key, value)| value.map(|value| text(key, value)))
                .collect(),
            ..Resource::default()
        }
    }
}
