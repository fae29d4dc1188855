//! Rows with few optional fields, from which the valid run is built.

use cctf_proto::cctf::{
    Call, HostMetric, Instance, Invocation, JsonObject, Link, LinkMetric, LinkSource, Milliseconds, Module,
    ModuleCall, ModuleType, Node, PlacementEvent, PlacementKind, SpanId, SpanKind, Stage, SystemStat, Text,
    TraceId,
};

const STARTED_MS: i64 = 1_760_000_000_000;

pub fn trace(id: u8) -> TraceId {
    TraceId([id; 16])
}

pub fn span(id: u8) -> SpanId {
    SpanId([id; 8])
}

/// A timestamp this many milliseconds after the start of the run.
pub fn at(ms: i64) -> Milliseconds {
    Milliseconds::from_ns((STARTED_MS + ms) * 1_000_000)
}

pub fn lasting(ms: i64) -> Milliseconds {
    Milliseconds::from_ns(ms * 1_000_000)
}

/// Node and stage of each module.
pub fn home(module: &str) -> (&'static str, Stage) {
    match module {
        "load" => ("ep0", Stage::Endpoint),
        "gateway" => ("edge0", Stage::Edge),
        _ => ("cloud0", Stage::Cloud),
    }
}

pub fn instance(module: &str) -> Text<'static> {
    format!("{module}@{}", home(module).0).into()
}

/// An invocation whose durations equal the differences of its timestamps.
pub fn invocation(ids: (u8, u8), module: &'static str, timestamps: [i64; 3]) -> Invocation<'static> {
    let [enqueue, start, end] = timestamps;
    let lasted = |ms: i64| (ms >= 0).then(|| lasting(ms));
    Invocation {
        trace_id: trace(ids.0),
        span_id: span(ids.1),
        parent_id: None,
        parent_span_id: None,
        module_id: module.into(),
        instance_id: instance(module),
        ts_enqueue: at(enqueue),
        ts_start: at(start),
        ts_end: at(end),
        node: home(module).0.into(),
        stage: home(module).1,
        method: Some("POST".into()),
        path: Some("/hash/sha256".into()),
        bytes_in: Some(8192),
        bytes_out: None,
        cpu_time_ms: Some(lasting(3)),
        queue_time_ms: lasted(start - enqueue),
        service_time_ms: lasted(end - start),
        rt_ms: lasted(end - enqueue),
        status: Some(200),
        pid: Some(7),
        app_id: None,
        protocol: Some("http".into()),
        route: None,
        query: None,
        session_id: None,
        name: None,
        status_text: None,
        error_type: None,
        cold_start: None,
        downstream_ms: None,
        cpu_wait_ms: None,
        wakeup_ms: None,
        slot_wait_ms: None,
        kind: SpanKind::Server,
        caller_span_id: None,
        net_ms: None,
        links: None,
        sample_weight: Some(1.0),
        flags: None,
    }
}

pub fn call(ids: (u8, u8), module: &'static str, timestamps: [i64; 2]) -> Call<'static> {
    Call {
        trace_id: trace(ids.0),
        span_id: span(ids.1),
        parent_span_id: None,
        ancestor_id: None,
        module_id: module.into(),
        instance_id: instance(module),
        node: home(module).0.into(),
        stage: home(module).1,
        ts_start: at(timestamps[0]),
        ts_end: at(timestamps[1]),
        method: Some("POST".into()),
        path: None,
        bytes_out: Some(8192),
        bytes_in: None,
        status: Some(200),
        kind: Some(SpanKind::Client),
        protocol: None,
        name: None,
        peer: None,
        peer_module: None,
        resend_count: None,
        session_id: None,
        replay_of_trace_id: None,
        replay_of_span_id: None,
        lateness_ms: None,
        error_type: None,
        flags: None,
    }
}

pub fn node(id: &'static str, stage: Stage) -> Node<'static> {
    Node {
        node_id: id.into(),
        stage,
        cpu_cores: Some(4),
        mem_mb: None,
        cpu_model: None,
        cpu_freq_mhz: None,
        mips_per_core: None,
        cpu_score: None,
        arch: None,
        os: None,
        region: None,
        zone: None,
        provider: None,
        host_id: None,
        host_name: None,
        ips: None,
        power_idle_w: None,
        power_max_w: None,
        clock_offset_ms: None,
        clock_error_ms: None,
    }
}

pub fn module(id: &'static str, module_type: ModuleType, calls: Option<&'static str>) -> Module<'static> {
    Module {
        app_id: None,
        module_id: id.into(),
        name: id.into(),
        module_type,
        resources: None,
        version: None,
        language: None,
        image: None,
        external: (id == "db").then_some(true),
        instances: (id != "db").then(|| {
            vec![Instance {
                instance_id: instance(id),
                node_id: home(id).0.into(),
                workers: Some(1),
                queue_limit: None,
                slot_policy: None,
                slots_src: None,
            }]
        }),
        cpu_ms_mean: None,
        cpu_src: None,
        endpoints: None,
        calls: calls.map(|to| {
            vec![ModuleCall {
                to: to.into(),
                per_invocation: Some(1.0),
                bytes_mean: None,
            }]
        }),
    }
}

pub fn link(u: &'static str, v: &'static str) -> Link<'static> {
    Link {
        u: u.into(),
        v: v.into(),
        BW_bps: Some(1e9),
        PR_s: Some(0.0),
        src: LinkSource::Estimated,
        jitter_s: None,
        samples: Some(1),
        iface: None,
        fit_error_ms: None,
    }
}

pub fn link_metric(node: &'static str, stage: Stage, link: &'static str) -> LinkMetric<'static> {
    LinkMetric {
        ts_ms: at(50),
        node: node.into(),
        stage,
        link: link.into(),
        rx_Bps: None,
        tx_Bps: Some(0.0),
        iface: None,
        interval_ms: Some(lasting(1000)),
        errors: None,
        dropped: None,
        calls: None,
        net_ms_min: None,
        net_ms_p50: Some(lasting(20)),
        net_ms_p99: None,
    }
}

pub fn placement(module: &'static str, event: PlacementKind, ms: i64) -> PlacementEvent<'static> {
    PlacementEvent {
        ts: at(ms),
        app_id: None,
        module_id: module.into(),
        instance_id: Some(instance(module)),
        node_id: home(module).0.into(),
        event,
        stage: home(module).1,
        inferred: true,
        workers: None,
        queue_limit: None,
        slot_policy: None,
        replicas: None,
        from_node_id: None,
        image: None,
        cpu_limit: None,
        mem_limit_mb: None,
        reason: None,
    }
}

pub fn host() -> HostMetric<'static> {
    HostMetric {
        ts_ms: at(50),
        node: "edge0".into(),
        stage: Stage::Edge,
        cpu_util: Some(100.0),
        mem_free_mb: Some(1024.5),
        mem_used_mb: None,
        load1: None,
        disk_read_Bps: Some(0.0),
        disk_write_Bps: None,
        power_w: None,
        energy_j: None,
        interval_ms: Some(lasting(1000)),
    }
}

pub fn stat() -> SystemStat<'static> {
    SystemStat {
        ts_ms: at(50),
        node_id: "unknown".into(),
        stage: Stage::Unknown,
        metric: "in_flight".into(),
        value: -1.5,
        instance_id: None,
        module_id: Some("worker".into()),
        unit: None,
        attributes: Some(JsonObject(r#"{"a":1}"#.into())),
    }
}
