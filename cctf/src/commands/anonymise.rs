//! `cctf anonymise`: copies a run without its names, so that it can be shared.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anonymise::summary::FileRows;
use anonymise::{Key, Options, Summary, anonymise};
use clap::Args;
use cli::interrupt;
use rundir::output::refuse_existing;
use serde::Serialize;

use super::cells::{UNKNOWN, counted, cut, printable, table};
use super::display::BytesBar;
use super::run_target::find;
use super::{DONE, Format, print, print_json};

const AFTER_HELP: &str = "\
Names, paths, ids and addresses become keyed hashes. A free text is hashed as a whole, not word by word. All times are shifted by
the same whole number of minutes. Numbers, stages, methods, protocols and names of metrics do not change, so cctf stats prints the
same figures. Fields that CCTF does not define are left out. docs/anonymise.md lists every field. Some things stay visible: timing
patterns, sizes, the call graph, and which endpoints are rare. The command lists the endpoints with fewer than K invocations (--k).

With the same key, equal values have equal hashes in all runs. So anonymised runs can be compared and merged, and replays still
refer to the recorded run. Whoever has the key can hash a name and search for the hash. Keep the key secret, or delete it.

Examples:
  cctf anonymise logs/latest --key secret.key --new-key --out shared/run
  cctf anonymise logs/replay --key secret.key --out shared/replay
  cctf anonymise gzip-60 --key secret.key --out shared/gzip --k 50 --format json | jq .rare_endpoints

A key is a file of at least 32 random bytes that only its owner can read. --new-key makes one, and so does:
  (umask 077; head -c 32 /dev/urandom > secret.key)

Exit codes:
  0  the result is at OUT (lines that could not be read are left out, counted and reported)
  1  a file cannot be read or written; or the result is at OUT, but the summary cannot be printed
  2  a flag or the key is invalid, the run does not exist or is still being written, or OUT exists";

/// Maximum number of rare endpoints (with few calls) in the printed text.
const RARE_SHOWN_MAX: usize = 20;
/// Maximum width of a name in the text.
const NAME_WIDTH_MAX: usize = 40;

#[derive(Debug, Clone, Args)]
#[command(after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf anonymise --help")]
pub struct AnonymiseArgs {
    /// Run id, or path to a run's folder. The later parts (folders) of a long run are included.
    #[arg(value_name = "DIR|RUN_ID")]
    run: String,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the key file: at least 32 random bytes. Use the same key for runs that belong together.
    #[arg(long, env = "CCTF_ANONYMISE_KEY", value_name = "FILE")]
    key: PathBuf,
    /// Make a new key and write it to the key file, which must not exist.
    #[arg(long)]
    new_key: bool,
    /// Path to the folder of the result. It must not exist. For a run of several parts, the result has one run folder for each part.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// List the endpoints with fewer than K invocations.
    #[arg(long, default_value_t = 10, value_name = "K")]
    k: u64,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Json<'s> {
    #[serde(flatten)]
    summary: &'s Summary,
    damaged: u64,
    seconds: f64,
}

pub fn run(args: &AnonymiseArgs) -> anyhow::Result<ExitCode> {
    let (run, part) = find(Some(&args.run), &args.logs_dir)?;
    // A new key must not remain if there is no result for it.
    refuse_existing(&args.out)?;
    let key = match args.new_key {
        true => Key::create(&args.key)?,
        false => Key::read(&args.key)?,
    };
    let options = Options {
        rare_below: args.k,
        stop: interrupt::stop_flag(),
    };
    let started = Instant::now();
    let bar = BytesBar::new();
    let summary = anonymise(&run, &part, &key, &args.out, options, &mut |progress| {
        bar.show("reading", progress.done, progress.total);
    });
    bar.clear();
    if summary.is_err() && args.new_key && args.out.symlink_metadata().is_err() {
        // The error of the command matters more than a file that cannot be removed.
        let _ = fs::remove_file(&args.key);
    }
    let summary = summary?;
    let seconds = started.elapsed().as_secs_f64();
    match args.format {
        Format::Json => print_json(&Json {
            summary: &summary,
            damaged: summary.damaged(),
            seconds,
        })?,
        Format::Text => print(&text(&summary, seconds))?,
    }
    Ok(ExitCode::from(DONE))
}

fn text(summary: &Summary, seconds: f64) -> String {
    let mut out = files(summary);
    out += &replaced(summary);
    out += &rare(summary);
    if summary.open > 0 {
        out += "The run has not ended. Rows that a normalizer still adds are not in the result.\n";
    }
    let paths: Vec<String> = summary
        .folders
        .iter()
        .map(|folder| printable(&folder.to_string_lossy()))
        .collect();
    out += &format!("Anonymised run: {}\n", paths.join(", "));
    out += &format!(
        "{seconds:.1} s, {:.0} MB/s\n",
        summary.bytes_read as f64 / f64::from(1 << 20) / seconds.max(1e-9)
    );
    out
}

fn files(summary: &Summary) -> String {
    let cells = |(file, rows): (&String, &FileRows)| {
        [file.clone(), rows.written.to_string(), rows.damaged.to_string()]
    };
    let rows: Vec<_> = summary.files.iter().map(cells).collect();
    let mut out = table(["file", "rows", "unreadable"], &rows, &[1, 2]);
    if summary.damaged() > 0 {
        let count = counted(summary.damaged(), "unreadable row");
        out += &format!("{count} left out; cctf validate of the recorded run shows what is wrong\n");
    }
    out + "\n"
}

fn replaced(summary: &Summary) -> String {
    let found = &summary.replaced;
    let counts = [
        ("ids", found.ids, "hashed"),
        ("names and addresses", found.names, "hashed"),
        ("paths, queries and URLs", found.paths, "hashed"),
        ("other texts and attributes", found.texts, "hashed"),
        ("times", found.times, "shifted"),
        ("known texts, such as GET", found.known, "kept"),
    ];
    let mut rows: Vec<_> = counts
        .into_iter()
        .map(|(what, count, how)| [what.to_owned(), count.to_string(), how.to_owned()])
        .collect();
    let dropped = found
        .dropped
        .iter()
        .map(|(field, count)| ((*field).to_owned(), *count));
    let unknown = summary.unknown_fields.by_field.iter();
    let unknown = unknown.map(|(field, count)| (format!("{field} (unknown field)"), *count));
    let names = dropped.chain(unknown);
    rows.extend(names.map(|(field, count)| {
        let field = cut(&printable(&field), NAME_WIDTH_MAX);
        [field, count.to_string(), "dropped".to_owned()]
    }));
    table(["values", "number", "treatment"], &rows, &[1]) + "\n"
}

fn rare(summary: &Summary) -> String {
    let rare = &summary.rare_endpoints;
    let below = rare.below;
    if rare.endpoints == 0 {
        return format!("No endpoint has fewer than {below} invocations.\n");
    }
    let cell = |text: &str| cut(&printable(text), NAME_WIDTH_MAX);
    let or_unknown = |text: &Option<String>| text.as_deref().map_or_else(|| UNKNOWN.to_owned(), cell);
    let rows: Vec<_> = rare
        .shown
        .iter()
        .take(RARE_SHOWN_MAX)
        .map(|rare| {
            [
                cell(&rare.module),
                or_unknown(&rare.method),
                or_unknown(&rare.endpoint),
                rare.calls.to_string(),
                or_unknown(&rare.anonymised_endpoint),
            ]
        })
        .collect();
    let titles = ["module", "method", "endpoint", "invocations", "in the result"];
    let mut out = format!(
        "{} fewer than {below} invocations. Whoever knows the application may recognise {}:\n",
        match rare.endpoints {
            1 => "1 endpoint has".to_owned(),
            count => format!("{count} endpoints have"),
        },
        if rare.endpoints == 1 { "it" } else { "them" }
    );
    out += &table(titles, &rows, &[3]);
    let more = rare.endpoints - rows.len() as u64;
    if more > 0 {
        out += &format!("and {more} more; --format json has up to 1,000\n");
    }
    if rare.uncounted_rows > 0 {
        out += &format!(
            "{} of further endpoints are not counted one by one\n",
            counted(rare.uncounted_rows, "row")
        );
    }
    out + "\n"
}
