//! `cctf event`: reports a scaling or a migration as one span over OTLP.

use std::process::ExitCode;
use std::time::Duration;

use cctf_load::clock;
use cctf_load::ids::Ids;
use cctf_load::otlp::attributes::{integer, text};
use cctf_load::otlp::export::Exporter;
use cctf_load::otlp::spans::control_request;
use cctf_proto::cctf::PlacementKind;
use cctf_proto::keys;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::flags::parse_stage;
use super::{DONE, otlp};

/// Maximum time until the receiver accepts the span.
const TIMEOUT: Duration = Duration::from_secs(10);

const AFTER_HELP: &str = "\
Examples:
  A deployment script has started a third instance of the module 'stock' on node edge0:
    cctf event scale --app-id shop --module stock --replicas 3 --node edge0 --reason 'cpu over 80%'
  The module 'front' has moved from edge0 to cloud0:
    cctf event migrate --app-id shop --module front --from edge0 --node cloud0
  The same event with the new stage and the new instance, sent to the Collector of `make up`:
    cctf event migrate --app-id shop --module front --from edge0 --node cloud0 --stage cloud --instance front-7f9c \\
      --otlp-endpoint http://127.0.0.1:4317

The normalizer adds the event to placement_events.jsonl of every run that has not ended, with the time of this command and
inferred=false. Events that the normalizer itself infers from telemetry have inferred=true. The event is an annotation: it does
not start or stop an instance.

Use the names in the module's telemetry: --module is service.name, --app-id is service.namespace, and --node is the node in
invocations.jsonl. With other names, the event belongs to a different module.

Exit codes:
  0  the normalizer or Collector has accepted the event
  1  the normalizer or Collector does not answer or has refused the event
  2  invalid flag or environment variable";

#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf event --help")]
pub struct EventArgs {
    #[command(subcommand)]
    event: Event,
}

#[derive(Debug, Clone, Subcommand)]
enum Event {
    /// Record that the number of a module's instances has changed.
    Scale {
        #[command(flatten)]
        subject: Subject,
        /// New number of instances.
        #[arg(long)]
        replicas: u32,
    },
    /// Record that a module has moved to another node.
    Migrate {
        #[command(flatten)]
        subject: Subject,
        /// Name of the node that the module has left.
        #[arg(long, value_name = "NODE", value_parser = NonEmptyStringValueParser::new())]
        from: String,
    },
}

/// The module of an event, and the receiver.
#[derive(Debug, Clone, Args)]
struct Subject {
    /// Name of the module: service.name in its telemetry.
    #[arg(long, env = "MODULE_ID", value_parser = NonEmptyStringValueParser::new())]
    module: String,
    /// Name of the module's application: service.namespace in its telemetry, if any.
    #[arg(long, env = "APP_ID")]
    app_id: Option<String>,
    /// Id of the instance that was started, stopped or moved. Default: the event is about the whole module.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    instance: Option<String>,
    /// Name of the node (machine) where the module was scaled, or to which it has moved.
    #[arg(long, env = "NODE_ID", value_parser = NonEmptyStringValueParser::new())]
    node: String,
    /// Stage of this node: endpoint (user's device), edge, cloud or unknown.
    #[arg(long, env = "STAGE", value_parser = parse_stage)]
    stage: Option<String>,
    /// Reason for the event, as free text.
    #[arg(long)]
    reason: Option<String>,
    /// URL of a normalizer or Collector that receives OTLP [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    /// [default: http://127.0.0.1:4317; with http/protobuf, port 4318].
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
}

pub fn run(args: &EventArgs) -> anyhow::Result<ExitCode> {
    let at_unix_ns = clock::unix_ns();
    let subject = args.event.subject();
    let resource = subject.resource();
    let request = control_request(
        &resource,
        keys::PLACEMENT_SPAN,
        at_unix_ns,
        args.event.attributes(),
    );
    let destination = otlp::destination_or_local(subject.otlp_endpoint.as_deref(), &subject.otlp)?;
    // A control span gets its own id, so no ids of requests are needed.
    Exporter::start(&destination, &resource, Ids::new(0))?.send_control(
        keys::PLACEMENT_SPAN,
        request,
        TIMEOUT,
    )?;
    Ok(ExitCode::from(DONE))
}

impl Event {
    fn subject(&self) -> &Subject {
        match self {
            Self::Scale { subject, .. } | Self::Migrate { subject, .. } => subject,
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
        let reason = self
            .subject()
            .reason
            .as_ref()
            .map(|reason| text(keys::REASON, reason));
        [text(keys::PLACEMENT_EVENT, kind.as_str()), own]
            .into_iter()
            .chain(reason)
            .collect()
    }
}

impl Subject {
    /// The resource of the module, not of this process.
    fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", Some(&self.module)),
            ("service.namespace", self.app_id.as_ref()),
            ("service.instance.id", self.instance.as_ref()),
            (keys::NODE_ID, Some(&self.node)),
            (keys::STAGE, self.stage.as_ref()),
        ];
        Resource {
            attributes: attributes
                .into_iter()
                .filter_map(|(key, value)| value.map(|value| text(key, value)))
                .collect(),
            ..Resource::default()
        }
    }
}
