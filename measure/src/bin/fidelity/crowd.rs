//! Eight requests with 20 ms of CPU time each run at the same time, on eight slots and two CPUs. The row of each request must
//! have its own CPU time.

use std::path::Path;

use e2e::http;

use super::finding::{Finding, quantile};
use super::stack::{Row, Stack};

const WORK: &str = "/work?cpu_ms=20";
const WORK_MS: f64 = 20.0;
const CROWD: usize = 8;
const ROUNDS: usize = 40;
/// Number of requests at the start that are not evaluated. They open connections and start threads.
const WARM_UP: usize = 2 * CROWD;

/// Sends the requests and checks their rows.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let stack = Stack::start(bin_dir, &[("WORKERS", &CROWD.to_string())])?;
    let address = stack.service.address("listening")?;
    for _ in 0..ROUNDS {
        std::thread::scope(|scope| {
            let crowd: Vec<_> = (0..CROWD)
                .map(|_| scope.spawn(|| http::send(address, "GET", WORK, &[], b"")))
                .collect();
            crowd.into_iter().try_for_each(|one| match one.join() {
                Ok(answer) => answer.map(|_| ()),
                Err(_) => Err(anyhow::anyhow!("a request's thread panicked")),
            })
        })?;
    }
    let rows = stack.finish("/work")?;
    let rows = rows.get(WARM_UP..).unwrap_or_default();
    let mut cpu_ms: Vec<f64> = rows.iter().map(|row| row.cpu as f64 / 1e6).collect();
    let mut unexplained: Vec<f64> = rows.iter().map(unexplained_share).collect();
    let service_ms = rows.iter().map(Row::service_ms).sum::<f64>() / rows.len() as f64;
    let bounds = (0.9 * WORK_MS, 1.1 * WORK_MS);
    Ok(vec![
        Finding::between(
            "eight at once on two CPUs: CPU time, least",
            quantile(&mut cpu_ms, 0.0),
            bounds,
            "ms",
        ),
        Finding::between(
            "eight at once on two CPUs: CPU time, greatest",
            quantile(&mut cpu_ms, 1.0),
            bounds,
            "ms",
        ),
        Finding::at_most(
            &format!("eight at once: service ({service_ms:.1} ms) without CPU and waiting for it, greatest"),
            100.0 * quantile(&mut unexplained, 1.0),
            10.0,
            "%",
        ),
    ])
}

/// Share of the service time that is neither CPU time nor a wait for a CPU.
fn unexplained_share(row: &Row) -> f64 {
    let service = row.end - row.start;
    (service - row.cpu - row.cpu_wait) as f64 / service as f64
}
