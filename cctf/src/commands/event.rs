//! `cctf event`: reports a scaling or a migration as one span over OTLP.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::flags::parse_stage;
use super::placement_event::{Happened, PlacementEvent};
use super::{DONE, otlp};

const AFTER_HELP: &str = "\
Examples:
  A deployment script has started a third instance of the module 'stock' on node edge0:
    cctf event scale --app-id shop --module stock --replicas 3 --node edge0 --reason 'cpu over 80%'
  The module 'front' has moved from edge0 to cloud0:
    cctf event migrate --app-id shop --module front --from edge0 --node cloud0
  The same event, with the new stage and the new instance, sent to the Collector that `make up` starts:
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
    let (subject, happened) = match &args.event {
        Event::Scale { subject, replicas } => (subject, Happened::Scaled(*replicas)),
        Event::Migrate { subject, from } => (subject, Happened::MovedFrom(from.clone())),
    };
    let event = PlacementEvent {
        happened,
        module: subject.module.clone(),
        app_id: subject.app_id.clone(),
        instance: subject.instance.clone(),
        node: subject.node.clone(),
        stage: subject.stage.clone(),
        reason: subject.reason.clone(),
    };
    let destination = otlp::destination_or_local(subject.otlp_endpoint.as_deref(), &subject.otlp)?;
    event.report(&destination)?;
    Ok(ExitCode::from(DONE))
}
