//! The resource: the identity of this instance, and the hardware of its node.

use std::path::Path;
use std::time::{Duration, Instant};

use cctf_proto::cctf::Stage;
use cctf_proto::keys;
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceBuilder, TelemetryResourceDetector};
use sha2::{Digest, Sha256};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::cgroup::Limits;
use crate::meter::thread_cpu_ns;
use crate::settings::{InstanceIdentity, Settings};

const SERVICE_NAME_DEFAULT: &str = "tunable-svc";
/// Duration of the CPU score measurement.
const SCORE_TIME: Duration = Duration::from_millis(100);
const SCORE_BLOCK_BYTES: usize = 64 << 10;
const MIB: f64 = 1_048_576.0;

/// The resource of this process. Settings override OTEL_RESOURCE_ATTRIBUTES, which overrides detected values.
pub fn describe(settings: &Settings) -> Resource {
    let from_environment = from_variables(settings).build();
    let has = |key: &'static str| from_environment.get_ref(&Key::from_static_str(key)).is_some();
    let mut attributes = explicit(&settings.identity);
    if settings.identity.module_id.is_none() && !is_named(&from_environment) {
        attributes.push(KeyValue::new("service.name", SERVICE_NAME_DEFAULT));
    }
    attributes.extend(
        detected()
            .into_iter()
            .filter(|(key, _)| !has(key))
            .map(|(key, value)| KeyValue::new(key, value)),
    );
    if settings.identity.instance_id.is_none() && !has("service.instance.id") {
        attributes.push(KeyValue::new("service.instance.id", random_instance_id()));
    }
    from_variables(settings).with_attributes(attributes).build()
}

/// Sets the names of module and instance to those that [`describe`] chooses, so that other parts report the same names.
pub fn set_names(settings: &mut Settings) {
    let from_environment = from_variables(settings).build();
    let set = |key: &'static str| {
        let value = from_environment.get_ref(&Key::from_static_str(key))?;
        Some(value.as_str().into_owned())
    };
    let identity = &mut settings.identity;
    identity.module_id = identity
        .module_id
        .take()
        .or_else(|| set("service.name"))
        .or_else(|| Some(SERVICE_NAME_DEFAULT.to_owned()));
    identity.instance_id = identity
        .instance_id
        .take()
        .or_else(|| set("service.instance.id"))
        .or_else(|| Some(random_instance_id()));
}

/// The SDK's own attributes, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME. The SDK itself would not decode the percent-encoding
/// of the variables.
fn from_variables(settings: &Settings) -> ResourceBuilder {
    let set = settings.otel.resource.iter();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(set.map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
}

fn is_named(resource: &Resource) -> bool {
    resource.get_ref(&Key::from_static_str("service.name")).is_some()
}

fn explicit(identity: &InstanceIdentity) -> Vec<KeyValue> {
    let texts = [
        ("service.name", identity.module_id.as_deref()),
        ("service.namespace", identity.app_id.as_deref()),
        ("service.instance.id", identity.instance_id.as_deref()),
        (keys::NODE_ID, identity.node_id.as_deref()),
        (keys::STAGE, identity.stage.map(Stage::as_str)),
        (keys::RUN_ID, identity.run_id.as_deref()),
        ("cloud.region", identity.region.as_deref()),
        ("cloud.availability_zone", identity.zone.as_deref()),
    ];
    let numbers = [
        (keys::NODE_MIPS_PER_CORE, identity.mips_per_core),
        (keys::NODE_POWER_IDLE_W, identity.power_idle_w),
        (keys::NODE_POWER_MAX_W, identity.power_max_w),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(key, text)| Some(KeyValue::new(key, text?.to_owned())));
    texts
        .chain(
            numbers
                .into_iter()
                .filter_map(|(key, number)| Some(KeyValue::new(key, number?))),
        )
        .collect()
}

fn detected() -> Vec<(&'static str, Value)> {
    let mut attributes: Vec<(&'static str, Value)> = vec![
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("process.pid", i64::from(std::process::id()).into()),
        ("host.arch", host_arch().into()),
        ("os.type", std::env::consts::OS.into()),
        // The path `/work` alone does not identify the work, so the normalizer must write the query, too.
        (keys::KEEP_QUERY, true.into()),
        (keys::NODE_CPU_SCORE, cpu_score_mib_per_s().into()),
    ];
    attributes.extend(host_name().map(|name| ("host.name", name.into())));
    attributes.extend(read_line("/etc/machine-id").map(|id| ("host.id", id.into())));
    let limits = Limits::read(Path::new("/"));
    attributes.extend(limits.cpus.map(|cpus| (keys::CPU_LIMIT, cpus.into())));
    let memory_mb = limits.memory.and_then(|bytes| i64::try_from(bytes >> 20).ok());
    attributes.extend(memory_mb.map(|mb| (keys::MEM_LIMIT_MB, mb.into())));
    attributes.extend(hardware());
    attributes
}

fn hardware() -> Vec<(&'static str, Value)> {
    let kinds = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing().with_frequency())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let Ok(system) = System::new_with_specifics(kinds) else {
        return Vec::new();
    };
    let mut hardware: Vec<(&'static str, Value)> = Vec::new();
    if let Some(cpu) = system.cpus().first() {
        hardware.push((keys::NODE_CPU_CORES, (system.cpus().len() as i64).into()));
        if cpu.frequency() > 0 {
            hardware.push((keys::NODE_CPU_FREQ_MHZ, (cpu.frequency() as i64).into()));
        }
        if !cpu.brand().is_empty() {
            hardware.push(("host.cpu.model.name", cpu.brand().to_owned().into()));
        }
    }
    if system.total_memory() > 0 {
        hardware.push((keys::NODE_MEM_MB, ((system.total_memory() >> 20) as i64).into()));
    }
    hardware
}

/// Hash throughput of one core, MiB per second. It scales CPU times between nodes.
fn cpu_score_mib_per_s() -> f64 {
    let block = vec![0x5a_u8; SCORE_BLOCK_BYTES];
    let started = Instant::now();
    let started_cpu_ns = thread_cpu_ns();
    let mut blocks = 0_u32;
    while started.elapsed() < SCORE_TIME {
        std::hint::black_box(Sha256::digest(&block));
        blocks += 1;
    }
    // Divided by CPU time, not by elapsed time, so that a busy host does not look slow.
    let seconds = (thread_cpu_ns() - started_cpu_ns).max(1) as f64 / 1e9;
    f64::from(blocks) * SCORE_BLOCK_BYTES as f64 / MIB / seconds
}

/// The name of the architecture in the semantic conventions.
fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "x86",
        other => other,
    }
}

fn host_name() -> Option<String> {
    read_line("/proc/sys/kernel/hostname").or_else(|| System::host_name().ok())
}

fn read_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn random_instance_id() -> String {
    let id: u128 = rand::random();
    // The layout of a random UUID (version 4), as the semantic conventions recommend.
    let id = (id & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        let (one, other) = (random_instance_id(), random_instance_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn the_host_is_described_without_invented_values() {
        let found = detected();
        let value = |key: &str| {
            found
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.clone())
        };
        assert!(matches!(value(keys::NODE_CPU_CORES), Some(Value::I64(cores)) if cores > 0));
        assert!(matches!(value(keys::NODE_MEM_MB), Some(Value::I64(mb)) if mb > 0));
        assert!(matches!(value(keys::NODE_CPU_SCORE), Some(Value::F64(score)) if score > 1.0));
        assert_eq!(value(keys::NODE_MIPS_PER_CORE), None);
    }
}
