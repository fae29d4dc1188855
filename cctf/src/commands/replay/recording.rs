//! [`Recording`]: the run to replay, for any kind of receiver, with the checks that need no plan.

use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Part, RunMeta, reason};
use cctf_proto::log_line;
use plan::roots::{Roots, size};
use rundir::RunFolder;
use rundir::parts::Run;

use super::args::ReplayArgs;
use super::noise::run_id_of;
use crate::commands::UsageError;
use crate::commands::cells::{counted, printable};
use crate::commands::display::BytesBar;
use crate::commands::run_target::find;

/// Maximum size of a run_meta.json, bytes. Usual files have about 1 KiB.
const META_BYTES_MAX: usize = 64 << 20;
const SEED_DEFAULT: u64 = 1;

/// A recorded run that can be replayed with the id of the new run.
pub struct Recording {
    pub run: Run,
    /// The first part to read.
    pub part: Part,
    pub roots: Roots,
    /// Seed for bodies and scaling.
    pub seed: u64,
}

impl Recording {
    /// Reads the roots of the run; cheap checks come first.
    pub fn open(args: &ReplayArgs) -> anyhow::Result<Self> {
        let (run, part) = find(Some(&args.recorded), &args.logs_dir)?;
        check_run_id(args, &run)?;
        check_out(args, &run, &part)?;
        let seed = args.seed.or(recorded_seed(&run, &part)?).unwrap_or(SEED_DEFAULT);
        let roots = read(&run, &part)?;
        check_roots(&roots, args)?;
        Ok(Self {
            run,
            part,
            roots,
            seed,
        })
    }

    /// The folder of the new run, if the normalizer writes it to the same folder as the recorded run.
    pub fn folder_of(&self, run_id: &str) -> Option<PathBuf> {
        folder_beside(&self.run, run_id)
    }

    /// The command that compares the recorded run with the new one.
    pub fn next_command(&self, recorded: &str, run_id: &str) -> String {
        // The folder's real name is used, because a link such as logs/latest will lead to the new run by then.
        let folder = self.run.folder(&self.part);
        let recorded = match std::fs::symlink_metadata(recorded).is_ok_and(|found| found.is_symlink()) {
            true => folder.to_string_lossy(),
            false => recorded.into(),
        };
        let new = self
            .folder_of(run_id)
            .unwrap_or_else(|| Path::new("FOLDER").join(run_id));
        format!(
            "cctf compare {} {}",
            cli::shell::quoted(&recorded),
            cli::shell::quoted(&new.to_string_lossy())
        )
    }
}

fn recorded_seed(run: &Run, part: &Part) -> anyhow::Result<Option<u64>> {
    // The first parts of the run may have been deleted.
    let parts = run.parts_from(part)?;
    let folder = RunFolder::open(&run.folder(parts.first().unwrap_or(part)))?;
    let Some(meta) = folder.whole(File::RunMeta, META_BYTES_MAX)? else {
        return Ok(None);
    };
    let path = folder.path(File::RunMeta);
    let meta: RunMeta<'_> = serde_json::from_slice(&meta).map_err(|error| {
        anyhow::anyhow!(
            "cannot read {}: {}; cctf validate shows its faults",
            path.display(),
            reason(&error)
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
            "cannot replay {run_id}: the run has not ended, so requests may be missing; wait for its end; cctf replay --unfinished sends what is there"
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

/// A sentence about missing data in the files of the run. It can explain why the run has no requests.
pub fn lacks(roots: &Roots) -> Option<String> {
    let damaged = (roots.damaged > 0).then(|| counted(roots.damaged, "damaged line"));
    let all: Vec<String> = roots.notes.iter().cloned().chain(damaged).collect();
    (!all.is_empty()).then(|| printable(&all.join(", ")))
}

/// Refuses a run id that is already used, including the ids that --aa derives from it. Otherwise the rows of two runs would be
/// in one folder.
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

/// Refuses a file inside of the recorded run, because the replay would then change the run that it replays.
fn check_out(args: &ReplayArgs, run: &Run, first: &Part) -> anyhow::Result<()> {
    let Some(out) = &args.driver.out else {
        return Ok(());
    };
    // For a file that does not exist yet, the nearest existing folder is checked.
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

/// The folder of a run next to the recorded one, if it exists.
fn folder_beside(recorded: &Run, run_id: &str) -> Option<PathBuf> {
    let first = recorded.folder(&Part::first(recorded.id()));
    let beside = first.with_file_name(run_id);
    beside.is_dir().then_some(beside)
}
