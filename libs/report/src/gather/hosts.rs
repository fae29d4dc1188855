//! [`read`]: CPU and memory of nodes over time.

use std::collections::BTreeMap;

use analyze::stats::opened::Opened;
use analyze::timeline::series::Timeline;
use cctf_proto::cctf::{File, HostMetric};
use page::number::counted;
use rundir::ReadError;

use crate::model::Host;

/// Maximum number of nodes. Each has three means of 16 bytes in each of 120 buckets, so all take 1.5 MiB.
const NODES_MAX: usize = 256;
const CPU: usize = 0;
const USED: usize = 1;
const FREE: usize = 2;

/// Sum of samples, and their number.
type Mean = (f64, u32);

struct Samples {
    stage: String,
    /// For each measure, its mean in each bucket.
    means: [Vec<Mean>; 3],
}

/// The nodes, sorted by name. A sample counts in the bucket that contains its time.
///
/// # Errors
/// If a file cannot be read.
pub fn read(opened: &Opened, timeline: &Timeline, notes: &mut Vec<String>) -> Result<Vec<Host>, ReadError> {
    let buckets = timeline.run.buckets.len();
    let mut nodes: BTreeMap<String, Samples> = BTreeMap::new();
    let mut beyond = 0_u64;
    let found = super::lines::each_row(opened, File::HostMetrics, |_, line| {
        let Ok(row) = serde_json::from_slice::<HostMetric<'_>>(line) else {
            return false;
        };
        let Some(bucket) = bucket_of(timeline, row.ts_ms.as_ns()) else {
            return true;
        };
        if nodes.len() >= NODES_MAX && !nodes.contains_key(&*row.node) {
            beyond += 1;
            return true;
        }
        let node = nodes.entry(row.node.to_string()).or_insert_with(|| Samples {
            stage: row.stage.as_str().to_owned(),
            means: std::array::from_fn(|_| vec![(0.0, 0); buckets]),
        });
        let values = [row.cpu_util, row.mem_used_mb, row.mem_free_mb];
        for (means, value) in node.means.iter_mut().zip(values) {
            if let Some(value) = value {
                means[bucket].0 += value;
                means[bucket].1 += 1;
            }
        }
        true
    })?;
    found.note(
        File::HostMetrics,
        "CPU and memory of the nodes are unknown",
        notes,
    );
    if found.exists && nodes.is_empty() && buckets > 0 {
        notes.push("no samples of nodes in host_metrics.jsonl during the run".to_owned());
    }
    if beyond > 0 {
        notes.push(format!(
            "{} of nodes beyond the first {NODES_MAX}, which are not shown",
            counted(beyond, "sample is", "samples are")
        ));
    }
    Ok(nodes.into_iter().map(host).collect())
}

fn bucket_of(timeline: &Timeline, at: i64) -> Option<usize> {
    // Two timestamps of 64 bits can differ by more than an `i64` holds.
    let after = (at >= timeline.begin_ns).then(|| at.abs_diff(timeline.begin_ns))?;
    let bucket = after.checked_div(timeline.bucket_ns)? as usize;
    (bucket < timeline.run.buckets.len()).then_some(bucket)
}

fn host((node, samples): (String, Samples)) -> Host {
    let mean = |(sum, count): &Mean| (*count > 0).then(|| sum / f64::from(*count));
    let by_bucket = |measure: usize| samples.means[measure].iter().map(mean).collect();
    Host {
        cpu_util: by_bucket(CPU),
        mem_used_mb: by_bucket(USED),
        mem_free_mb: by_bucket(FREE),
        node,
        stage: samples.stage,
    }
}

#[cfg(test)]
mod tests {
    use analyze::timeline::series::{Bucket, Series};

    use super::*;

    #[test]
    fn a_sample_has_its_bucket_in_the_longest_run_possible() {
        let timeline = Timeline {
            begin_ns: i64::MIN,
            end_ns: i64::MAX,
            bucket_ns: 1 << 62,
            run: Series {
                buckets: vec![Bucket::default(); 4],
            },
            ..Timeline::default()
        };
        let found = [i64::MIN, -1, 0, i64::MAX].map(|at| bucket_of(&timeline, at));
        assert_eq!(found, [Some(0), Some(1), Some(2), Some(3)]);
        let later = Timeline {
            begin_ns: 0,
            ..timeline
        };
        assert_eq!(bucket_of(&later, -1), None);
    }
}
