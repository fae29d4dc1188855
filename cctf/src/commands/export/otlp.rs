//! `cctf export otlp`: a run as telemetry again, in a file or to a receiver.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use cctf_proto::keys::parse_run_id;
use clap::{ArgGroup, Args};
use cli::interrupt;
use export::targets::otlp::{self as target, Exported, Otlp};
use export::{Assumption, Assumptions, Counts, Options};
use otlp_send::{BlockingSender, Destination};
use serde::Serialize;

use super::summary;
use crate::commands::display::BytesBar;
use crate::commands::plan::window::WindowFlags;
use crate::commands::run_target::find;
use crate::commands::{
    DONE, FAILED, Format, UsageError, damages, otlp, print, print_json, refuse_existing_out,
};

/// Maximum time for which a request is sent again until the receiver accepts it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Assumption that counts damaged lines.
const DAMAGED_LINES: &str = "damaged_lines";

const AFTER_HELP: &str = "\
The rows become spans again, with the names of the semantic conventions. Jaeger, Tempo and other viewers show the traces. A
Collector or a normalizer accepts the export like live telemetry. Each invocation and each call is a span. Parents without a row
also become spans, so that traces are connected. The run's start, its end and its placement events are spans, too.
  OUT/traces.jsonl       one OTLP request a line, as in files of the Collector's file exporter
  OUT/assumptions.json   what is lost, with counts

Examples:
  cctf export otlp logs/latest --out telemetry
  cctf convert telemetry/traces.jsonl --out again       # equal in invocations, calls and reported placement events
  cctf export otlp logs/latest --otlp-endpoint http://127.0.0.1:4317     # to Jaeger, Tempo or a Collector
  cctf export otlp logs/latest --otlp-endpoint http://127.0.0.1:4318 --otlp-protocol http/protobuf
  cctf export otlp logs/latest --from 1m --to 2m --out minute

--from and --to select whole traces, by the start of the first row of each trace. The offsets count from the first row of the run.
If the receiver is a normalizer that has already closed this run, the normalizer counts the rows as late. So send the run under
another name (--run-id).
docs/export/otlp.md describes each field.

Exit codes:
  0  the export was written or sent
  1  the export was written or sent, but lines of the run are damaged; or --strict refuses the export, a file cannot be read or
     written, or the receiver is unreachable or rejects spans
  2  a flag is invalid, the run does not exist, or OUT exists";

// The shared help of these flags is about roots, but a trace is chosen here by the first of all its rows.
const FROM_HELP: &str = "Only traces whose first row starts at or after this offset from the first row of the run, such as 10s or 1m30s";
const TO_HELP: &str = "Only traces whose first row starts before this offset";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf export otlp --help")]
#[command(mut_arg("from", |arg| arg.help(FROM_HELP)), mut_arg("to", |arg| arg.help(TO_HELP)))]
#[command(group = ArgGroup::new("destination").required(true).args(["out", "otlp_endpoint"]))]
pub struct OtlpArgs {
    /// Run id, or path to a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the folder of the export. It must not exist.
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// URL of an OTLP receiver. The run is sent to this receiver instead of written to a folder.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
    /// Run id in the telemetry. Default: the run's own.
    #[arg(long = "run-id", value_name = "ID", value_parser = parse_run_id)]
    sent_run_id: Option<String>,
    #[command(flatten)]
    window: WindowFlags,
    /// Refuse the export if it would lose something that the summary marks as a warning, not only as a note.
    #[arg(long)]
    strict: bool,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

/// The summary of a run that was sent.
#[derive(Debug, Serialize)]
struct Sent {
    target: &'static str,
    run_id: String,
    endpoint: String,
    counts: Counts,
    spans: u64,
    requests: u64,
    /// Number of spans that the receiver has rejected, and its last message.
    rejected: u64,
    message: Option<String>,
    assumptions: Vec<Assumption>,
}

pub fn run(args: &OtlpArgs) -> anyhow::Result<ExitCode> {
    let destination = destination(args)?;
    if let Some(out) = &args.out {
        // This is checked now, because reading the run takes long. The export checks it again.
        refuse_existing_out(out)?;
    }
    let (run, first) = find(args.run.as_deref(), &args.logs_dir)?;
    let run_id = args.sent_run_id.as_deref().unwrap_or(run.id());
    let otlp = Otlp {
        run: &run,
        first: &first,
        run_id,
        window: args.window.window()?,
    };
    // From here on, there is a folder that an interrupt must remove.
    let stop = interrupt::stop_flag();
    match (&args.out, destination) {
        (Some(out), _) => write(args, &otlp, out, stop),
        (None, Some(destination)) => send(args, &otlp, &destination, stop),
        (None, None) => bail!("set --out or --otlp-endpoint"),
    }
}

fn destination(args: &OtlpArgs) -> anyhow::Result<Option<Destination>> {
    if args.otlp_endpoint.is_none() {
        return match args.otlp.first_set() {
            Some(flag) => Err(UsageError(format!("{flag} requires --otlp-endpoint")).into()),
            None => Ok(None),
        };
    }
    Ok(otlp::destination(args.otlp_endpoint.as_deref(), &args.otlp)?)
}

fn write(
    args: &OtlpArgs,
    otlp: &Otlp<'_>,
    out: &std::path::Path,
    stop: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let options = Options {
        out,
        is_strict: args.strict,
    };
    let bar = BytesBar::new();
    let written = otlp.write(options, &mut |done, total| {
        bar.show("export", done, total);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let summary = written?;
    match args.format {
        Format::Text => print(&summary::text(&summary))?,
        Format::Json => print_json(&summary)?,
    }
    Ok(exit_code(&summary.assumptions, 0))
}

/// Creates all requests first, so that `--strict` and unreadable files end the command before the receiver gets anything.
fn send(
    args: &OtlpArgs,
    otlp: &Otlp<'_>,
    destination: &Destination,
    stop: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let sender = BlockingSender::new(destination).map_err(|error| UsageError(error.to_string()))?;
    let bar = BytesBar::new();
    let mut assumptions = Assumptions::default();
    let mut spool = Spool::create()?;
    let exported = {
        let mut advance = |done, total| {
            bar.show("export", done, total);
            go_on(stop, "nothing was sent")
        };
        let mut take = |request: &_| spool.push(request);
        let scratch = std::env::temp_dir();
        otlp.requests(&scratch, &mut take, &mut assumptions, &mut advance)
    };
    bar.clear();
    let exported = exported?;
    if args.strict {
        assumptions.refuse(otlp.run.id())?;
    }
    let mut sent = Sent {
        target: target::NAME,
        run_id: otlp.run_id.to_owned(),
        endpoint: destination.to_string(),
        counts: exported.counts,
        spans: exported.spans,
        requests: exported.requests,
        rejected: 0,
        message: None,
        assumptions: assumptions.list,
    };
    let bar = BytesBar::of("requests");
    let all = send_all(spool, &sender, &exported, &mut sent, &mut |done| {
        bar.show("sending", done, exported.requests);
        go_on(
            stop,
            &format!("{done} of {} requests were sent", exported.requests),
        )
    });
    bar.clear();
    all?;
    match args.format {
        Format::Text => print(&sent_text(&sent))?,
        Format::Json => print_json(&sent)?,
    }
    Ok(exit_code(&sent.assumptions, sent.rejected))
}

fn go_on(stop: &AtomicBool, so_far: &str) -> anyhow::Result<()> {
    match stop.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(io::Error::other(format!("interrupted; {so_far}")).into()),
    }
}

fn send_all(
    spool: Spool,
    sender: &BlockingSender,
    exported: &Exported,
    sent: &mut Sent,
    advance: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut requests = spool.rewound()?;
    for done in 0..exported.requests {
        advance(done)?;
        let request = read_request(&mut requests)?;
        let accepted = sender.send(request.into(), PATIENCE).map_err(|error| {
            let (endpoint, all) = (&sent.endpoint, exported.requests);
            anyhow!("cannot send to {endpoint}: {error}; {done} of {all} requests were accepted before; check that a receiver of OTLP runs there")
        })?;
        sent.rejected += accepted.rejected;
        sent.message = accepted.message.or(sent.message.take());
    }
    Ok(())
}

/// Encoded requests in a temporary file, each with its length before it.
struct Spool(BufWriter<File>);

const CANNOT_SPOOL: &str = "cannot write a temporary file";

impl Spool {
    fn create() -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot create a temporary file")?;
        Ok(Self(BufWriter::new(file)))
    }

    fn push(&mut self, request: &impl prost::Message) -> anyhow::Result<()> {
        let message = request.encode_to_vec();
        let length = (message.len() as u64).to_be_bytes();
        self.0.write_all(&length).context(CANNOT_SPOOL)?;
        self.0.write_all(&message).context(CANNOT_SPOOL)
    }

    fn rewound(self) -> anyhow::Result<BufReader<File>> {
        let mut file = self
            .0
            .into_inner()
            .map_err(|error| error.into_error())
            .context(CANNOT_SPOOL)?;
        file.rewind().context(CANNOT_SPOOL)?;
        Ok(BufReader::new(file))
    }
}

fn read_request(from: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    const CANNOT_READ: &str = "cannot read a temporary file";
    let mut length = [0; 8];
    from.read_exact(&mut length).context(CANNOT_READ)?;
    let mut message = Vec::new();
    let length = u64::from_be_bytes(length);
    from.take(length).read_to_end(&mut message).context(CANNOT_READ)?;
    Ok(message)
}

fn sent_text(sent: &Sent) -> String {
    let mut out = summary::contents(sent.target, &sent.run_id, &sent.counts, &sent.assumptions);
    let rejected = match (sent.rejected, &sent.message) {
        (0, None) => String::new(),
        (0, Some(message)) => format!(" (the receiver says: {message})"),
        (rejected, message) => format!(
            "; it rejected {rejected} of them: {}",
            message.as_deref().unwrap_or("without a reason")
        ),
    };
    out.push_str(&crate::commands::cells::printable(&format!(
        "{}: {} spans in {} requests{rejected}",
        sent.endpoint, sent.spans, sent.requests
    )));
    out.push('\n');
    out
}

fn exit_code(assumptions: &[Assumption], rejected: u64) -> ExitCode {
    let damaged = assumptions.iter().find(|one| one.id == DAMAGED_LINES);
    let damaged = damaged.map_or(0, |one| one.count);
    damages::show_count(damaged);
    ExitCode::from(if damaged > 0 || rejected > 0 { FAILED } else { DONE })
}
