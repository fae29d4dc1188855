//! Runs the commands of docs/scenarios/real-chain.md and checks the rows that the page promises.

use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, bin_dir};
use e2e::exclusive;
use e2e::ports::free_ports;
use e2e::rows::{self, number, text};
use e2e::sources::read;

/// Number of requests of each run.
const REQUESTS: usize = 80;
/// Each run of the page's table, with the node and the path of each hop.
const RUNS: [(&str, &[(&str, &str)]); 3] = [
    (
        "chain-default",
        &[
            ("ep0", "/json/validate"),
            ("edge0", "/blob/gzip"),
            ("cloud0", "/kv/set/k1"),
        ],
    ),
    (
        "chain-header",
        &[
            ("ep0", "/hash/sha256"),
            ("edge0", "/work"),
            ("cloud0", "/kv/set/k2"),
        ],
    ),
    (
        "chain-short",
        &[("ep0", "/json/validate"), ("cloud0", "/blob/gzip")],
    ),
];

/// The commands of a page: all its code blocks.
fn commands(page: &str) -> String {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let commands: Vec<&str> = blocks
        .map(|block| {
            let (language, commands) = block.split_once('\n').unwrap();
            assert_eq!(language, "", "unexpected block: {block}");
            commands
        })
        .collect();
    commands.join("\n")
}

/// Runs the page's commands, and stops their background processes if one fails.
fn run_page(logs_dir: &Path) -> Done {
    let page = read("docs/scenarios/real-chain.md").unwrap();
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}",
        commands(&page)
    );
    let [port, admin, otlp] = free_ports().unwrap().map(|port: u16| port.to_string());
    let _machine = exclusive::machine();
    // `timeout` ends the command, because the loops of the page would otherwise wait forever.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=20", "300", "bash", "-c", &script]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
        .envs([("PORT", &port), ("ADMIN", &admin), ("OTLP", &otlp)])
        .env("BIN", bin_dir().unwrap())
        .env("LOGS", logs_dir);
    Done::from(command.output().unwrap())
}

fn assert_chain(cctf: &Path, hops: &[(&str, &str)]) {
    let invocations = rows::lines(&cctf.join("invocations.jsonl")).unwrap();
    assert_eq!(invocations.len(), REQUESTS * hops.len(), "{}", cctf.display());
    let traces = rows::by_trace(&invocations).unwrap();
    assert_eq!(traces.len(), REQUESTS);
    for nodes in traces.values() {
        let mut above = None;
        for (node, path) in hops {
            let row = nodes[node];
            assert_eq!(
                (text(row, "path"), number(row, "status")),
                (Some(*path), Some(200.0)),
                "{row}"
            );
            assert_eq!((text(row, "parent_id"), row.get("flags")), (above, None), "{row}");
            above = text(row, "span_id");
        }
    }
}

/// This test fails if a hop is removed from the page's chain, and if the last command fails.
#[test]
fn the_commands_of_the_chain_scenario_leave_the_rows_that_it_promises() {
    let logs = tempfile::tempdir().unwrap();
    let done = run_page(logs.path());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    assert_eq!(
        done.stdout.matches("valid: no broken rules").count(),
        RUNS.len(),
        "{}",
        done.stdout
    );
    for (run, hops) in RUNS {
        assert_chain(&logs.path().join(run).join("cctf"), hops);
    }
    let page = read("docs/scenarios/real-chain.md").unwrap();
    for (run, hops) in RUNS {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{run}` |")))
            .unwrap();
        for (node, path) in hops {
            assert!(row.contains(&format!("`{node} {path}`")), "{run}: {row}");
        }
    }
}
