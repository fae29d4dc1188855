//! [`Checked`]: a replay whose whole plan was checked, so that nothing but the services can fail it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cctf_proto::cctf::{File, Part, RunMeta};
use cctf_proto::log_line;
use plan::roots::{Kind, Plan, Preview, Roots, Selection, size};
use replay::bodies::templates::Templates;
use replay::overview::{MODULES_MAX, Overview};
use replay::targets::{Targets, TargetsError};
use rundir::RunFolder;
use rundir::parts::Run;

use super::args::ReplayArgs;
use super::noise::run_id_of;
use super::preview::{ReplayPreview, Sources, dropped_orphans};
use crate::commands::UsageError;
use crate::commands::cells::{counted, printable};
use crate::commands::display::BytesBar;
use crate::commands::run_target::find;

/// A run_meta.json has about 1 KiB.
const META_BYTES_MAX: usize = 64 << 20;
const SEED_DEFAULT: u64 = 1;

pub struct Checked {
    run: Run,
    pub plan: Plan,
    pub overview: Overview,
    pub targets: Targets,
    pub templates: Arc<Templates>,
    pub preview: ReplayPreview,
    pub seed: u64,
}

impl Checked {
    /// Reads the run and checks the whole plan, cheap checks first. It opens no connection: whether the services are reachable
    /// shows when the stream of requests is made.
    pub fn new(args: &ReplayArgs) -> anyhow::Result<Self> {
        let targets = Targets::new(&args.targets).map_err(usage)?;
        targets.check_hosts(&args.allowed).map_err(usage)?;
        let templates = match &args.bodies {
            Some(path) => Templates::read(path).map_err(|error| UsageError(error.to_string()))?,
            None => Templates::default(),
        };
        let (run, part) = find(Some(&args.recorded), &args.logs_dir)?;
        check_run_id(args, &run)?;
        check_out(args, &run, &part)?;
        let seed = args.seed.or(recorded_seed(&run, &part)?).unwrap_or(SEED_DEFAULT);
        let selection = args.selection.selection(seed);
        let roots = read(&run, &part)?;
        check_roots(&roots, args)?;
        let plan = selection
            .plan(&roots)
            .map_err(|error| UsageError(error.to_string()))?;
        let preview = plan.preview()?;
        let overview = Overview::of(plan.arrivals(), &targets, &templates, seed)?;
        if args.strict {
            check_strict(&roots, &preview, &overview, &selection)?;
        }
        if overview.requests == 0 {
            anyhow::bail!(
                "cannot replay {}: {}",
                printable(&roots.run_id),
                nothing_to_send(&roots, &preview, &selection)
            );
        }
        check_module_count(&roots, &overview)?;
        // Without targets, a dry run shows the modules that need one.
        if !args.targets.is_empty() {
            targets.check_modules(&overview.modules).map_err(usage)?;
        }
        let preview = ReplayPreview::new(&Sources {
            roots: &roots,
            preview: &preview,
            overview: &overview,
            targets: &targets,
            templates: &templates,
            flags: &args.selection,
            seed,
        });
        Ok(Self {
            run,
            plan,
            overview,
            targets,
            templates: Arc::new(templates),
            preview,
            seed,
        })
    }

    /// The folder of the new run, if the normalizer writes it beside the recorded one.
    pub fn folder_of(&self, run_id: &str) -> Option<PathBuf> {
        folder_beside(&self.run, run_id)
    }

    /// The command that compares the recorded run with the new one.
    pub fn next_command(&self, recorded: &str, run_id: &str) -> String {
        let new = self
            .folder_of(run_id)
            .unwrap_or_else(|| Path::new("FOLDER").join(run_id));
        format!(
            "cctf compare {} {}",
            cli::shell::quoted(recorded),
            cli::shell::quoted(&new.to_string_lossy())
        )
    }
}

fn usage(error: TargetsError) -> anyhow::Error {
    match error {
        TargetsError::Unreachable { .. } | TargetsError::Unresolved { .. } => error.into(),
        _ => UsageError(error.to_string()).into(),
    }
}

fn recorded_seed(run: &Run, part: &Part) -> anyhow::Result<Option<u64>> {
    // The first parts may be deleted.
    let parts = run.parts_from(part)?;
    let folder = RunFolder::open(&run.folder(parts.first().unwrap_or(part)))?;
    let Some(meta) = folder.whole(File::RunMeta, META_BYTES_MAX)? else {
        return Ok(None);
    };
    let path = folder.path(File::RunMeta);
    let meta: RunMeta<'_> = serde_json::from_slice(&meta).map_err(|error| {
        anyhow::anyhow!(
            "cannot read {}: {error}; cctf validate shows its faults",
            path.display()
        )
    })?;
    Ok(meta.seed)
}

fn read(run: &Run, part: &Part) -> anyhow::Result<Roots> {
    let bar = BytesBar::new();
    let mut count = bar.counter("reading", size(run, part)?);
    let roots = Roots::read(run, part, &std::env::temp_dir(), &mut count);
    drop(count);
    bar.clear();
    Ok(roots?)
}

fn check_roots(roots: &Roots, args: &ReplayArgs) -> anyhow::Result<()> {
    let run_id = printable(&roots.run_id);
    if roots.is_open && !args.unfinished {
        anyhow::bail!(
            "cannot replay {run_id}: the run has not ended, so requests may be missing; wait for its end, or add --unfinished"
        );
    }
    for damage in &roots.damages {
        log_line!(
            "cctf: {}:{}: damaged line",
            printable(&damage.path.to_string_lossy()),
            damage.line
        );
    }
    if args.strict && roots.damaged > 0 {
        anyhow::bail!(
            "cannot replay {run_id} with --strict: it has {}",
            counted(roots.damaged, "damaged line")
        );
    }
    Ok(())
}

/// Refuses everything that a replay would leave out or replace.
fn check_strict(
    roots: &Roots,
    preview: &Preview,
    overview: &Overview,
    selection: &Selection,
) -> anyhow::Result<()> {
    let window = &preview.window;
    // The live services make their own calls again, so nothing is left out.
    let other_kinds = window
        .not_sendable()
        .filter(|(kind, _)| *kind != Kind::Background);
    let other_kinds: u64 = other_kinds.map(|(_, count)| count).sum();
    let dropped = dropped_orphans(roots, preview, selection);
    let found: Vec<String> = [
        (dropped, "orphan"),
        (other_kinds, "root other than HTTP"),
        (overview.filler, "body of unknown content"),
        (overview.unknown_size, "body of unknown size"),
        (overview.unlike_size, "body of another size than recorded"),
        (
            overview.too_large + overview.too_long,
            "request beyond the driver's limits",
        ),
        (overview.keys.beyond, "read of a value that is not stored"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| match what.split_once(' ') {
        Some((first, rest)) => format!("{} {rest}", counted(count, first)),
        None => counted(count, what),
    })
    .collect();
    let run_id = printable(&roots.run_id);
    if !found.is_empty() {
        anyhow::bail!(
            "cannot replay {run_id} with --strict: it has {}",
            found.join(", ")
        );
    }
    if !roots.notes.is_empty() {
        let notes = printable(&roots.notes.join("; "));
        anyhow::bail!("cannot replay {run_id} with --strict: {notes}");
    }
    Ok(())
}

/// Modules beyond the maximum are not known by name, so nothing shows whether they have targets.
fn check_module_count(roots: &Roots, overview: &Overview) -> anyhow::Result<()> {
    if overview.beyond_modules > 0 {
        anyhow::bail!(
            "cannot replay {}: it has requests to more than {MODULES_MAX} modules; choose a part of it with --from and --to",
            printable(&roots.run_id)
        );
    }
    Ok(())
}

/// Refuses a run id that is taken, also one that --aa makes of it: the rows of two runs would be in one folder.
fn check_run_id(args: &ReplayArgs, recorded: &Run) -> Result<(), UsageError> {
    let Some(run_id) = args.run.run_id.as_deref() else {
        return Ok(());
    };
    if args.dry_run {
        return Ok(());
    }
    let new: Vec<String> = match args.aa {
        Some(pairs) => (0..=pairs).map(|number| run_id_of(run_id, number)).collect(),
        None => vec![run_id.to_owned()],
    };
    let is_taken = |run_id: &String| {
        run_id == recorded.id()
            || folder_beside(recorded, run_id).is_some()
            || args.logs_dir.join(run_id).is_dir()
    };
    match new.iter().find(|run_id| is_taken(run_id)) {
        Some(taken) => Err(UsageError(format!(
            "cannot replay {} as run {taken}: this run exists; choose another --run-id",
            printable(recorded.id())
        ))),
        None => Ok(()),
    }
}

/// Refuses a file inside the recorded run: the replay would change what it replays.
fn check_out(args: &ReplayArgs, run: &Run, first: &Part) -> anyhow::Result<()> {
    let Some(out) = &args.driver.out else {
        return Ok(());
    };
    // A file that does not exist yet has the place of its nearest folder.
    let Some(place) = out
        .ancestors()
        .find_map(|path| match path.as_os_str().is_empty() {
            true => Path::new(".").canonicalize().ok(),
            false => path.canonicalize().ok(),
        })
    else {
        return Ok(());
    };
    for part in run.parts_from(first)? {
        let folder = run.folder(&part).canonicalize();
        if folder.is_ok_and(|folder| place.starts_with(folder)) {
            return Err(UsageError(format!(
                "cannot write {}: it is in the folder of the recorded run; choose another file with --out",
                printable(&out.to_string_lossy())
            ))
            .into());
        }
    }
    Ok(())
}

/// The folder of a run beside the recorded one, if it exists.
fn folder_beside(recorded: &Run, run_id: &str) -> Option<PathBuf> {
    let first = recorded.folder(&Part::first(recorded.id()));
    let beside = first.with_file_name(run_id);
    beside.is_dir().then_some(beside)
}

/// Why a plan has no requests.
fn nothing_to_send(roots: &Roots, preview: &Preview, selection: &Selection) -> String {
    let orphans = dropped_orphans(roots, preview, selection);
    let is_whole = selection.from.is_zero() && selection.to.is_none();
    let window = &preview.window;
    let kinds: Vec<String> = window
        .not_sendable()
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    match (window.roots, kinds.is_empty()) {
        (0, _) if orphans > 0 => {
            let orphans = counted(orphans, "orphan");
            format!("it has only {orphans}; send them with --orphans root")
        }
        (0, _) if !is_whole => {
            "no request came from outside in the chosen time; choose another --from or --to".to_owned()
        }
        (0, _) if roots.notes.is_empty() => {
            "no request came from outside; choose a run whose load came from a driver or another client"
                .to_owned()
        }
        (0, _) => format!("no request came from outside; {}", roots.notes.join("; ")),
        (_, false) => format!(
            "none of its {} can be sent over HTTP ({})",
            counted(window.roots, "root"),
            kinds.join(", ")
        ),
        (_, true) => "the selection leaves no request; use a larger --scale or --limit".to_owned(),
    }
}
