//! [`Files`]: the files of the run. Samples are computed from the invocations, so that the two agree.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{
    Call, Counters, Counts, File as CctfFile, HostMetric, Instance, Invocation, Milliseconds, Module,
    ModuleType, Node, PlacementEvent, PlacementKind, Row, RunMeta, SystemStat,
};

use super::BEGIN_NS;
use super::shop::{DRIVER, MODULES, NODES};

const NS_PER_S: i64 = 1_000_000_000;
const WORKERS: u64 = 32;
/// Factor for CPU time that a process uses for its I/O threads and its telemetry.
const PROCESS_FACTOR: f64 = 1.2;
/// Factor for CPU time of other processes on the host.
const HOST_FACTOR: f64 = 1.3;

/// Number of requests in the system and CPU time of an instance in one second.
#[derive(Default, Clone)]
struct Second {
    in_flight: u32,
    cpu_ns: i64,
}

pub struct Files {
    cctf: PathBuf,
    invocations: BufWriter<File>,
    calls: BufWriter<File>,
    rows: [u64; 2],
    line: Vec<u8>,
    /// Seconds by module and instance.
    seconds: [[Vec<Second>; 2]; MODULES.len()],
    last_ns: i64,
}

impl Files {
    pub fn create(run: &Path) -> anyhow::Result<Self> {
        let cctf = run.join("cctf");
        fs::create_dir_all(&cctf)?;
        let open = |file: CctfFile| {
            File::create(cctf.join(file.name())).map(|file| BufWriter::with_capacity(1 << 20, file))
        };
        let (invocations, calls) = (open(CctfFile::Invocations)?, open(CctfFile::Calls)?);
        open(CctfFile::LinkMetrics)?;
        Ok(Self {
            invocations,
            calls,
            cctf,
            rows: [0; 2],
            line: Vec::new(),
            seconds: Default::default(),
            last_ns: BEGIN_NS,
        })
    }

    pub fn invocations(&self) -> u64 {
        self.rows[0]
    }

    pub fn invocation(&mut self, row: &Invocation<'_>) -> anyhow::Result<()> {
        self.rows[0] += 1;
        self.last_ns = self.last_ns.max(row.ts_end.as_ns());
        encode(row, &mut self.line);
        Ok(self.invocations.write_all(&self.line)?)
    }

    pub fn call(&mut self, row: &Call<'_>) -> anyhow::Result<()> {
        self.rows[1] += 1;
        self.last_ns = self.last_ns.max(row.ts_end.as_ns());
        encode(row, &mut self.line);
        Ok(self.calls.write_all(&self.line)?)
    }

    /// Adds a request of an instance to its samples.
    pub fn occupy(&mut self, (module, instance): (usize, usize), (from, to): (i64, i64), cpu_ns: i64) {
        let seconds = &mut self.seconds[module][instance];
        let second = |ns: i64| ((ns - BEGIN_NS) / NS_PER_S) as usize;
        seconds.resize(seconds.len().max(second(to) + 1), Second::default());
        seconds[second(to)].cpu_ns += cpu_ns;
        // A sample is taken at the beginning of a second.
        for sample in &mut seconds[second(from) + 1..=second(to)] {
            sample.in_flight += 1;
        }
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        self.invocations.flush()?;
        self.calls.flush()?;
        let samples = self.system_stats()?;
        let hosts = self.host_metrics()?;
        let events = self.placement_events()?;
        self.write(CctfFile::Links, b"[]\n")?;
        self.nodes()?;
        self.modules()?;
        let [invocations, calls] = self.rows;
        let rows = [
            (CctfFile::Invocations, invocations),
            (CctfFile::Calls, calls),
            (CctfFile::SystemStats, samples),
            (CctfFile::HostMetrics, hosts),
            (CctfFile::PlacementEvents, events),
        ];
        let rows = rows.map(|(file, rows)| (file.name().to_owned(), rows));
        let mut line = Vec::new();
        encode(&self.run_meta(Counters(rows.into())), &mut line);
        self.write(CctfFile::RunMeta, &line)
    }

    fn write(&self, file: CctfFile, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(fs::write(self.cctf.join(file.name()), bytes)?)
    }

    /// Pairs of module and instance.
    fn instances() -> impl Iterator<Item = (usize, usize)> {
        (0..MODULES.len()).flat_map(|module| [0, 1].map(|instance| (module, instance)))
    }

    fn seconds_count(&self) -> usize {
        ((self.last_ns - BEGIN_NS) / NS_PER_S) as usize + 1
    }

    fn system_stats(&self) -> anyhow::Result<u64> {
        let mut out = BufWriter::new(File::create(self.cctf.join(CctfFile::SystemStats.name()))?);
        let (mut line, mut rows) = (Vec::new(), 0);
        let mut cpu_ns = [[0_i64; 2]; MODULES.len()];
        for second in 0..self.seconds_count() {
            let at = Milliseconds::from_ns(BEGIN_NS + second as i64 * NS_PER_S);
            for (module, instance) in Self::instances() {
                let sample = self.seconds[module][instance]
                    .get(second)
                    .cloned()
                    .unwrap_or_default();
                let node = &NODES[MODULES[module].node];
                let cpu_s = cpu_ns[module][instance] as f64 * PROCESS_FACTOR / NS_PER_S as f64;
                let values = [
                    ("in_flight", f64::from(sample.in_flight), None),
                    ("process.cpu.time", cpu_s, Some("s")),
                ];
                for (metric, value, unit) in values {
                    let row = SystemStat {
                        ts_ms: at,
                        node_id: node.name.into(),
                        stage: node.stage,
                        metric: metric.into(),
                        value,
                        instance_id: Some(MODULES[module].instances[instance].into()),
                        module_id: Some(MODULES[module].name.into()),
                        unit: unit.map(Into::into),
                        attributes: None,
                    };
                    encode(&row, &mut line);
                    out.write_all(&line)?;
                    rows += 1;
                }
                cpu_ns[module][instance] += sample.cpu_ns;
            }
        }
        out.flush()?;
        Ok(rows)
    }

    fn host_metrics(&self) -> anyhow::Result<u64> {
        let (mut out, mut line, mut rows) = (Vec::new(), Vec::new(), 0);
        for second in 1..self.seconds_count() {
            for (number, node) in NODES.iter().enumerate().take(NODES.len() - 1) {
                let on_node = Self::instances().filter(|(module, _)| MODULES[*module].node == number);
                let busy_ns: i64 = on_node
                    .filter_map(|(module, instance)| self.seconds[module][instance].get(second - 1))
                    .map(|sample| sample.cpu_ns)
                    .sum();
                let busy =
                    busy_ns as f64 * PROCESS_FACTOR * HOST_FACTOR / (NS_PER_S as f64 * node.cpus as f64);
                let row = HostMetric {
                    ts_ms: Milliseconds::from_ns(BEGIN_NS + second as i64 * NS_PER_S),
                    node: node.name.into(),
                    stage: node.stage,
                    cpu_util: Some((busy * 100.0).min(100.0)),
                    mem_free_mb: Some(20_000.0),
                    mem_used_mb: Some(12_000.0),
                    load1: None,
                    disk_read_Bps: None,
                    disk_write_Bps: None,
                    power_w: None,
                    energy_j: None,
                    interval_ms: Some(Milliseconds::from_ns(NS_PER_S)),
                };
                encode(&row, &mut line);
                out.extend_from_slice(&line);
                rows += 1;
            }
        }
        self.write(CctfFile::HostMetrics, &out)?;
        Ok(rows)
    }

    fn placement_events(&self) -> anyhow::Result<u64> {
        let (mut out, mut line, mut rows) = (Vec::new(), Vec::new(), 0);
        let of_module = |(module, instance): (usize, usize)| {
            let module = &MODULES[module];
            (module.name, module.instances[instance], module.node)
        };
        let driver = (DRIVER, DRIVER, NODES.len() - 1);
        for (module, instance, node) in Self::instances().map(of_module).chain([driver]) {
            let node = &NODES[node];
            let row = PlacementEvent {
                ts: Milliseconds::from_ns(BEGIN_NS),
                app_id: (module != DRIVER).then(|| "shop".into()),
                module_id: module.into(),
                instance_id: Some(instance.into()),
                node_id: node.name.into(),
                event: PlacementKind::Start,
                stage: node.stage,
                inferred: false,
                workers: (module != DRIVER).then_some(WORKERS),
                queue_limit: None,
                slot_policy: None,
                replicas: None,
                from_node_id: None,
                image: None,
                cpu_limit: None,
                mem_limit_mb: None,
                reason: None,
            };
            encode(&row, &mut line);
            out.extend_from_slice(&line);
            rows += 1;
        }
        self.write(CctfFile::PlacementEvents, &out)?;
        Ok(rows)
    }

    fn nodes(&self) -> anyhow::Result<()> {
        let nodes = NODES.iter().map(|node| {
            let text = format!(
                r#"{{"node_id":"{}","stage":"{}","cpu_cores":{},"mem_mb":32000.0}}"#,
                node.name,
                node.stage.as_str(),
                node.cpus
            );
            serde_json::from_str::<Node<'_>>(&text)?;
            Ok::<_, serde_json::Error>(text)
        });
        let nodes: Vec<String> = nodes.collect::<Result<_, _>>()?;
        self.write(
            CctfFile::Nodes,
            format!("[\n{}\n]\n", nodes.join(",\n")).as_bytes(),
        )
    }

    fn modules(&self) -> anyhow::Result<()> {
        let none = || Module {
            app_id: None,
            module_id: DRIVER.into(),
            name: DRIVER.into(),
            module_type: ModuleType::Source,
            resources: None,
            version: None,
            language: None,
            image: None,
            external: None,
            instances: None,
            cpu_ms_mean: None,
            cpu_src: None,
            endpoints: None,
            calls: None,
        };
        let modules = MODULES.iter().map(|module| Module {
            app_id: Some("shop".into()),
            module_id: module.name.into(),
            name: module.name.into(),
            module_type: match module.is_called_only {
                true => ModuleType::Sink,
                false => ModuleType::Module,
            },
            instances: Some(module.instances.map(|instance| of(instance, module.node)).into()),
            ..none()
        });
        let mut out = b"[\n".to_vec();
        for (number, module) in std::iter::once(none()).chain(modules).enumerate() {
            if number > 0 {
                out.extend_from_slice(b",\n");
            }
            module.encode(&mut out);
        }
        out.extend_from_slice(b"\n]\n");
        self.write(CctfFile::ModuleInventory, &out)
    }

    fn run_meta(&self, rows: Counters) -> RunMeta<'static> {
        let counts = Counts {
            spans: self.rows.iter().sum(),
            points: 0,
            logs: 0,
            rows,
            duplicates: 0,
            orphans: 0,
            late: 0,
            unknown_node: 0,
            evicted: None,
            rejected: Counters::default(),
            spans_by_outcome: None,
        };
        let times = [BEGIN_NS, self.last_ns + NS_PER_S].map(Milliseconds::from_ns);
        RunMeta::new("bench", times, counts)
    }
}

fn of(instance: &'static str, node: usize) -> Instance<'static> {
    Instance {
        instance_id: instance.into(),
        node_id: NODES[node].name.into(),
        workers: Some(WORKERS),
        queue_limit: None,
        slot_policy: None,
        slots_src: None,
    }
}

/// Appends the row as a line.
fn encode<'a>(row: &impl Row<'a>, line: &mut Vec<u8>) {
    line.clear();
    row.encode(line);
    line.push(b'\n');
}
