//! Writes one recorded run. `make bench` and tests use it as input of `cctf stats`, `cctf validate` and `cctf report`.
//!
//! `recorded RUN INVOCATIONS [RATE]` writes the folder `RUN` with the run of a shop. It has at least INVOCATIONS invocations,
//! six modules on three nodes, and four routes. Requests arrive at random with RATE requests/s (default: 1,000). Times vary as
//! in a real service. The same arguments give the same files.

mod files;
mod random;
mod shop;

use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{Call, Invocation, Milliseconds, SpanId, SpanKind, TraceId};

use files::Files;
use random::Random;
use shop::{DRIVER, Hop, MODULES, NODES, ROUTES, Route, Service};

pub const BEGIN_NS: i64 = 1_760_000_000_000_000_000;
/// Requests a second from outside, unless the command line has another rate.
pub const RATE: f64 = 1_000.0;
/// Median of the time for one direction over the network. A random time with the same mean is added.
const NETWORK_NS: f64 = 150_000.0;
/// Share of requests that find a free slot.
const FREE_SHARE: f64 = 0.7;
const QUEUE_NS: f64 = 1_500_000.0;
const ERROR_SHARE: f64 = 0.005;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(run), Some(invocations)) = (args.next(), args.next()) else {
        anyhow::bail!("recorded RUN INVOCATIONS [RATE]");
    };
    let rate = args
        .next()
        .map_or(Ok(RATE), |rate| rate.parse())
        .context("RATE")?;
    write(Path::new(&run), invocations.parse().context("INVOCATIONS")?, rate)
}

/// Writes whole traces until there are `invocations` invocations.
pub fn write(run: &Path, invocations: u64, rate: f64) -> anyhow::Result<()> {
    let mut writer = Writer {
        files: Files::create(run)?,
        random: Random::new(1),
        spans: 0,
        trace: 0,
    };
    let mut at = BEGIN_NS as f64;
    while writer.files.invocations() < invocations {
        at += writer.random.exponential(1e9 / rate);
        writer.trace(at as i64)?;
    }
    writer.files.finish()
}

struct Writer {
    files: Files,
    random: Random,
    spans: u64,
    trace: u64,
}

/// The values that a request gets from its caller.
struct Incoming<'a> {
    route: &'a Route,
    path: &'a str,
    trace_id: TraceId,
    /// The invocation that made the call.
    parent: Option<SpanId>,
    call: SpanId,
    enqueue_ns: i64,
    /// Time for both directions over the network.
    network_ns: i64,
    bytes_in: u64,
    bytes_out: u64,
    is_error: bool,
}

impl Writer {
    fn trace(&mut self, at: i64) -> anyhow::Result<()> {
        self.trace += 1;
        let route = &ROUTES[self.random.weighted(ROUTES.iter().map(|route| route.weight))];
        let path = match route.has_id {
            true => format!("{}{}", route.prefix, self.random.below(5000)),
            false => route.prefix.to_owned(),
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.random.number().to_be_bytes());
        id[8..].copy_from_slice(&self.trace.to_be_bytes());
        self.call(route, &path, TraceId(id), None, &route.hop, at)?;
        Ok(())
    }

    /// Writes a call, and all invocations and calls that it causes. Returns its end.
    fn call(
        &mut self,
        route: &Route,
        path: &str,
        trace_id: TraceId,
        caller: Option<(usize, usize, SpanId)>,
        hop: &Hop,
        begin: i64,
    ) -> anyhow::Result<i64> {
        let span = self.span();
        let there = self.way();
        let back = self.way();
        let incoming = Incoming {
            route,
            path,
            trace_id,
            parent: caller.map(|(.., span)| span),
            call: span,
            enqueue_ns: begin + there,
            network_ns: there + back,
            bytes_in: self.random.lognormal(600.0, 1.0) as u64,
            bytes_out: self.random.lognormal(3000.0, 1.2) as u64,
            is_error: self.random.fraction() < ERROR_SHARE,
        };
        let end = self.serve(hop, &incoming)? + back;
        let (module, instance, node) = match caller {
            Some((module, instance, _)) => (
                MODULES[module].name,
                MODULES[module].instances[instance],
                MODULES[module].node,
            ),
            None => (DRIVER, DRIVER, NODES.len() - 1),
        };
        let at = Milliseconds::from_ns;
        self.files.call(&Call {
            trace_id,
            span_id: span,
            parent_span_id: incoming.parent,
            ancestor_id: incoming.parent,
            module_id: module.into(),
            instance_id: instance.into(),
            node: NODES[node].name.into(),
            stage: NODES[node].stage,
            ts_start: at(begin),
            ts_end: at(end),
            method: Some(route.method.into()),
            path: Some(path.into()),
            bytes_out: Some(incoming.bytes_in),
            bytes_in: Some(incoming.bytes_out),
            status: Some(if incoming.is_error { 503 } else { 200 }),
            kind: Some(SpanKind::Client),
            protocol: Some("http".into()),
            name: None,
            peer: Some(MODULES[hop.module].peer.into()),
            peer_module: None,
            resend_count: None,
            session_id: None,
            replay_of_trace_id: None,
            replay_of_span_id: None,
            lateness_ms: None,
            error_type: incoming.is_error.then(|| "503".into()),
            flags: None,
        })?;
        Ok(end)
    }

    /// Writes an invocation, and all invocations and calls that it causes. Returns its end.
    fn serve(&mut self, hop: &Hop, incoming: &Incoming<'_>) -> anyhow::Result<i64> {
        let module = &MODULES[hop.module];
        let span = self.span();
        let instance = (self.random.number() % module.instances.len() as u64) as usize;
        let is_free = self.random.fraction() < FREE_SHARE;
        let queue = if is_free {
            0
        } else {
            self.random.exponential(QUEUE_NS) as i64
        };
        let own = self.random.lognormal(hop.own_us * 1e3, 0.5) as i64;
        let start = incoming.enqueue_ns + queue;
        let (mut now, mut waited) = (start + own / 3, 0);
        for next in hop.calls {
            let caller = Some((hop.module, instance, span));
            let end = self.call(
                incoming.route,
                incoming.path,
                incoming.trace_id,
                caller,
                next,
                now,
            )?;
            waited += end - now;
            now = end;
        }
        let end = now + own - own / 3;
        let cpu = own / 5 * 4;
        self.files
            .occupy((hop.module, instance), (incoming.enqueue_ns, end), cpu);
        let served = Served {
            span,
            instance,
            start_ns: start,
            end_ns: end,
            waited_ns: waited,
            cpu_ns: cpu,
        };
        self.files.invocation(&row(module, incoming, &served))?;
        Ok(end)
    }

    fn span(&mut self) -> SpanId {
        self.spans += 1;
        SpanId(random::mixed(self.spans).to_be_bytes())
    }

    fn way(&mut self) -> i64 {
        (NETWORK_NS + self.random.exponential(NETWORK_NS)) as i64
    }
}

/// The result of an invocation.
struct Served {
    span: SpanId,
    instance: usize,
    start_ns: i64,
    end_ns: i64,
    waited_ns: i64,
    cpu_ns: i64,
}

fn row<'a>(module: &'static Service, incoming: &Incoming<'a>, served: &Served) -> Invocation<'a> {
    let at = Milliseconds::from_ns;
    Invocation {
        trace_id: incoming.trace_id,
        span_id: served.span,
        parent_id: incoming.parent,
        parent_span_id: Some(incoming.call),
        module_id: module.name.into(),
        instance_id: module.instances[served.instance].into(),
        ts_enqueue: at(incoming.enqueue_ns),
        ts_start: at(served.start_ns),
        ts_end: at(served.end_ns),
        node: NODES[module.node].name.into(),
        stage: NODES[module.node].stage,
        method: Some(incoming.route.method.into()),
        path: Some(incoming.path.into()),
        bytes_in: Some(incoming.bytes_in),
        bytes_out: Some(incoming.bytes_out),
        cpu_time_ms: module.reports_cpu.then(|| at(served.cpu_ns)),
        queue_time_ms: Some(at(served.start_ns - incoming.enqueue_ns)),
        service_time_ms: Some(at(served.end_ns - served.start_ns)),
        rt_ms: Some(at(served.end_ns - incoming.enqueue_ns)),
        status: Some(if incoming.is_error { 503 } else { 200 }),
        pid: Some(4000 + served.instance as u64),
        app_id: Some("shop".into()),
        protocol: Some("http".into()),
        route: Some(incoming.route.route.into()),
        query: None,
        session_id: None,
        name: None,
        status_text: None,
        error_type: incoming.is_error.then(|| "503".into()),
        cold_start: None,
        downstream_ms: Some(at(served.waited_ns)),
        cpu_wait_ms: None,
        wakeup_ms: None,
        slot_wait_ms: None,
        kind: SpanKind::Server,
        caller_span_id: Some(incoming.call),
        net_ms: Some(at(incoming.network_ns)),
        links: None,
        sample_weight: None,
        flags: None,
    }
}
