//! Reads and sorts the roots of a run, reads them once, and prints counts, times and the peak memory use as JSON: `survey
//! RUN_FOLDER [TEMPORARY_FOLDER]`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use plan::roots::{Roots, Selection};
use rundir::parts::Target;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = args.next().ok_or("survey RUN_FOLDER [TEMPORARY_FOLDER]")?;
    let temporary = args.next().unwrap_or_else(std::env::temp_dir);
    let (run, first) = Target::Folder(folder).find()?.ok_or("no such run")?;
    let bytes = plan::roots::size(&run, &first)?;
    let begin = Instant::now();
    let roots = Roots::read(&run, &first, &temporary, &mut |_| {})?;
    let read_s = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let mut sent = 0_u64;
    for arrival in Selection::default().plan(&roots)?.arrivals() {
        arrival?;
        sent += 1;
    }
    let sent_s = begin.elapsed().as_secs_f64();
    let survey = &roots.survey;
    let result = serde_json::json!({
        "roots": survey.roots,
        "requests": sent,
        "endpoints": survey.endpoints().len(),
        "damaged": roots.damaged,
        "run_bytes": bytes,
        "file_bytes": roots.bytes(),
        "read_s": read_s,
        "read_mb_per_s": bytes as f64 / 1e6 / read_s,
        "iterate_s": sent_s,
        "peak_rss_mib": peak_kib(Path::new("/proc/self/status"))?.map(|kib| kib / 1024),
    });
    println!("{result}");
    Ok(())
}

/// The maximum of resident memory, KiB.
fn peak_kib(status: &Path) -> std::io::Result<Option<u64>> {
    let text = std::fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
}
