//! Reads a run like `cctf report`, and prints the size of each part. Used for measurements: `gather DIR [THREADS]`.

use std::path::PathBuf;

use report::gather::{Options, gather};
use rundir::parts::Target;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: gather DIR [THREADS]")?);
    let threads = match arguments.next() {
        Some(threads) => threads.parse()?,
        None => std::thread::available_parallelism()?.get(),
    };
    let (run, part) = Target::Folder(folder).find()?.ok_or("no such run")?;
    let options = Options {
        threads,
        validates_large_runs: false,
    };
    let data = gather(&run, &part, &options, &mut |_| {})?;
    println!(
        "{} rows, {} buckets of {} ms, {} modules",
        data.stats.rows,
        data.timeline.run.buckets.len(),
        data.timeline.bucket_ns / 1_000_000,
        data.timeline.modules.len()
    );
    let bins = |series: &report::model::Series| {
        let times = series.buckets.iter().flat_map(|bucket| &bucket.times);
        times.map(|time| time.bins.len()).sum::<usize>()
    };
    let all: usize = data.timeline.modules.iter().map(|(_, series)| bins(series)).sum();
    println!("{} bins of the run, {all} of modules", bins(&data.timeline.run));
    for edge in data.edges.iter().take(20) {
        let from = edge.from.as_ref().and_then(|key| key.module_id.as_deref());
        println!(
            "{} -> {:?}: {} calls, {} errors",
            from.unwrap_or("-"),
            edge.to,
            edge.calls,
            edge.errors
        );
    }
    for picked in &data.traces {
        println!(
            "{:?} {}: {} ms, {} rows, {} left out",
            picked.pick,
            picked.trace.trace_id,
            picked.trace.duration() as f64 / 1e6,
            picked.trace.nodes.len(),
            picked.rows_left_out
        );
    }
    println!(
        "{} hosts, {} events, {} facts, {} errors, {:?}",
        data.hosts.len(),
        data.events.len(),
        data.meta.map_or(0, |meta| meta.facts.len()),
        data.validation.errors,
        data.validation.unchecked
    );
    for note in &data.notes {
        println!("note: {note}");
    }
    Ok(())
}
