//! `cctf stats --lint` on runs that satisfy each law and on runs that violate one. Also figures of the same runs by link.

use serde_json::Value;

use crate::stats::Logs;

/// A run of 400 requests from node `c` to `n`, one per second and 500 ms long, with samples that agree.
struct Fitting {
    invocations: Vec<String>,
    calls: Vec<String>,
    samples: Vec<String>,
    hosts: Vec<String>,
}

impl Fitting {
    fn new() -> Self {
        let mut run = Self {
            hosts: Vec::new(),
            invocations: Vec::new(),
            calls: Vec::new(),
            samples: Vec::new(),
        };
        for second in 0..400_u64 {
            let begin = 1_700_000_000_000 + second * 1000;
            let call = format!("{:016x}", second + 1000);
            run.invocations.push(format!(
                r#"{{"trace_id":"{second:032x}","span_id":"{second:016x}","parent_id":null,"parent_span_id":"{call}","module_id":"front","instance_id":"i","ts_enqueue":{begin}.000000,"ts_start":{begin}.000000,"ts_end":{}.000000,"node":"n","stage":"edge","method":"GET","path":"/a","bytes_in":null,"bytes_out":null,"cpu_time_ms":10.000000,"queue_time_ms":0.000000,"service_time_ms":500.000000,"rt_ms":500.000000,"status":200,"downstream_ms":null,"kind":"server","caller_span_id":"{call}","net_ms":2.000000}}"#,
                begin + 500,
            ));
            run.calls.push(format!(
                r#"{{"trace_id":"{second:032x}","span_id":"{call}","parent_span_id":null,"ancestor_id":null,"module_id":"d","instance_id":"d","node":"c","stage":"edge","ts_start":{}.000000,"ts_end":{}.000000,"method":"GET","path":"/a","bytes_out":null,"bytes_in":null,"status":200,"kind":"client","peer":"n:80"}}"#,
                begin - 1,
                begin + 501,
            ));
            // The request is at a pseudo-random time within the second.
            let phase = (second + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % 1000;
            run.sample("in_flight", begin + phase, u64::from(phase < 500) as f64);
            run.sample("process.cpu.time", begin, second as f64 * 0.02);
            run.hosts.push(format!(
                r#"{{"ts_ms":{begin}.000000,"node":"n","stage":"edge","cpu_util":1.5,"mem_free_mb":null,"interval_ms":1000.000000}}"#
            ));
        }
        run
    }

    fn sample(&mut self, metric: &str, ts: u64, value: f64) {
        self.samples.push(format!(
            r#"{{"ts_ms":{ts}.000000,"node_id":"n","stage":"edge","metric":"{metric}","value":{value:.3},"instance_id":"i","module_id":"front"}}"#
        ));
    }

    fn logs(&self) -> Logs {
        let text = |lines: &[String]| lines.join("\n") + "\n";
        let logs = Logs::with(&text(&self.invocations));
        logs.write("r", "calls.jsonl", &text(&self.calls));
        logs.write("r", "system_stats.jsonl", &text(&self.samples));
        logs.write("r", "host_metrics.jsonl", &text(&self.hosts));
        let nodes = r#"[{"node_id":"n","stage":"edge","cpu_cores":2,"mem_mb":null}]"#;
        logs.write("r", "nodes.json", nodes);
        logs
    }

    /// The laws that the run violates, and the exit code.
    fn broken(&self) -> (Vec<String>, Option<i32>) {
        let logs = self.logs();
        let done = logs.stats(&["--lint", "--format", "json"]);
        let found: Value = serde_json::from_slice(&done.stdout).unwrap();
        let checks = found["lint"].as_array().unwrap();
        assert_eq!(checks.len(), 6, "one for each law: {checks:?}");
        assert!(
            checks.iter().all(|check| check["verdict"] != "undecided"),
            "{checks:?}"
        );
        let broken = checks.iter().filter(|check| check["verdict"] == "disagrees");
        let laws = broken.map(|check| check["law"].as_str().unwrap().to_owned());
        (laws.collect(), done.status.code())
    }
}

#[test]
fn the_lint_names_each_law_that_a_run_breaks_and_none_of_a_good_one() {
    let broken_by = |change: &dyn Fn(&mut Fitting)| {
        let mut run = Fitting::new();
        change(&mut run);
        run.broken()
    };
    let law = |law: &str| (vec![law.to_owned()], Some(1));
    assert_eq!(broken_by(&|_| {}), (Vec::new(), Some(0)));
    let half = |lines: &mut Vec<String>| lines.truncate(200);
    assert_eq!(broken_by(&|run| half(&mut run.calls)), law("callers"));
    let every_third_lost = |run: &mut Fitting| {
        let mut number = 0;
        run.invocations.retain(|_| {
            number += 1;
            number % 3 != 0
        });
    };
    let (laws, code) = broken_by(&every_third_lost);
    assert!(
        laws.contains(&"callees".to_owned()) && code == Some(1),
        "{laws:?}"
    );
    let ahead = |run: &mut Fitting| {
        for line in &mut run.calls {
            *line = line
                .replace("\"ts_start\":17", "\"ts_start\":18")
                .replace("\"ts_end\":17", "\"ts_end\":18");
        }
    };
    assert_eq!(broken_by(&ahead), law("clock"));
    let doubled = |run: &mut Fitting| {
        for line in &mut run.samples {
            *line = line.replace(
                "\"value\":1.000,\"instance_id\"",
                "\"value\":2.000,\"instance_id\"",
            );
        }
    };
    assert_eq!(broken_by(&doubled), law("little"));
    let cheap = |run: &mut Fitting| {
        for line in &mut run.invocations {
            *line = line.replace("\"cpu_time_ms\":10.0", "\"cpu_time_ms\":30.0");
        }
    };
    assert_eq!(broken_by(&cheap), law("cpu"));
    let idle = |run: &mut Fitting| {
        for line in &mut run.hosts {
            *line = line.replace("\"cpu_util\":1.5", "\"cpu_util\":0.5");
        }
    };
    assert_eq!(broken_by(&idle), law("host_cpu"));
}

#[test]
fn the_cpu_time_of_a_host_needs_its_samples_and_its_number_of_cpus() {
    let mut run = Fitting::new();
    let check = |logs: &Logs| -> Option<(String, String)> {
        let done = logs.stats(&["--lint", "--format", "json"]);
        let found: Value = serde_json::from_slice(&done.stdout).unwrap();
        let checks = found["lint"].as_array().unwrap().iter();
        let check = checks.into_iter().find(|check| check["law"] == "host_cpu")?;
        let text = |name: &str| check[name].as_str().unwrap().to_owned();
        Some((text("verdict"), text("figures")))
    };
    let (verdict, figures) = check(&run.logs()).unwrap();
    assert_eq!(verdict, "agrees");
    assert_eq!(
        figures,
        "process.cpu.time of the node's processes 7.980 s in 399.0 s; CPU time of the whole host by cpu_util: 11.970 s on 2 CPUs in 399.0 s"
    );
    let logs = run.logs();
    logs.write("r", "nodes.json", "[]");
    let (verdict, figures) = check(&logs).unwrap();
    assert!(
        verdict == "undecided" && figures.contains("CPUs is unknown"),
        "{figures}"
    );
    // The host is idle during its samples, but the samples cover too little time.
    run.hosts.truncate(300);
    for line in &mut run.hosts {
        *line = line.replace("\"cpu_util\":1.5", "\"cpu_util\":0.0");
    }
    assert_eq!(check(&run.logs()).unwrap().0, "undecided");
    run.hosts.clear();
    let (verdict, figures) = check(&run.logs()).unwrap();
    assert!(
        verdict == "undecided" && figures.contains("no usable samples of the host"),
        "{figures}"
    );
}

#[test]
fn an_interval_stands_beside_the_network_times_of_a_link() {
    let mut run = Fitting::new();
    for (second, line) in run.invocations.iter_mut().enumerate() {
        let net = 1 + (second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5;
        *line = line.replace("\"net_ms\":2.0", &format!("\"net_ms\":{net}.0"));
    }
    let found = run.logs().json(&["--by", "link"]);
    let link = &found["groups"][0];
    assert_eq!((&link["from_node"], &link["node"]), (&"c".into(), &"n".into()));
    let mean = link["network_mean_ms"].as_f64().unwrap();
    let interval = &link["intervals"]["network"]["mean"];
    let end = |name: &str| interval[name].as_f64().unwrap();
    assert!(end("low_ms") < mean && mean < end("high_ms"), "{mean} {interval}");
    assert!(end("high_ms") - end("low_ms") < 1.0, "{interval}");
    let names: Vec<&str> = link["intervals"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        ["error_share", "interarrival_cv", "network", "rate_per_s"],
        "{link}"
    );
}
