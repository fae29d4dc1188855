//! Plans, roots and stand-ins made by hand.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::roots::{Arrival, Kind, Origin, Root};
use replay::stand_in::by_root::ByRoot;
use serde_json::{Value, json};
use standin::{Instance, Probe, StandIns};

use crate::rows::{MS, Rows, child_of, with};

/// Fields of an invocation of a module. Its instance is the first one of the module.
pub fn of(module: &str) -> Value {
    json!({"module_id": module, "instance_id": format!("{module}-1"), "route": format!("/{module}/{{id}}")})
}

/// Adds an invocation within the time of its caller. Its call has the next span id.
pub fn add_call(rows: &mut Rows, caller: u64, span: u64, [start, end]: [i64; 2], fields: Value) {
    rows.invocation(
        span,
        [start, start, end],
        with(child_of(caller, span + 1), fields),
    );
    rows.calls_later.push((
        span + 1,
        caller,
        [start, end],
        json!({"bytes_out": 40, "method": "GET"}),
    ));
}

/// Requests that pass these modules. Each module calls the next one and waits for it.
pub fn chain(modules: &[&str]) -> ByRoot {
    let mut rows = Rows::default();
    let length = modules.len() as i64;
    for (module, level) in modules.iter().zip(0..) {
        let times = [level * MS, (2 * length - level) * MS];
        let span = 2 * level as u64 + 1;
        match level {
            0 => _ = rows.invocation(span, [times[0], times[0], times[1]], of(module)),
            _ => add_call(&mut rows, span - 2, span, times, of(module)),
        }
    }
    ByRoot::new(rows.plan())
}

/// An arrival of the root whose span id is `span`.
pub fn arrival(span: u64, offset_ns: u64) -> Arrival {
    let mut trace_id = [0; 16];
    trace_id[15] = 1;
    Arrival {
        offset_ns,
        copy: 0,
        root: Root {
            at_ns: 0,
            trace_id: TraceId(trace_id),
            span_id: SpanId(span.to_be_bytes()),
            origin: Origin::Invocation,
            kind: Kind::Http,
            module: "front".into(),
            instance: None,
            method: Some("GET".into()),
            path: Some("/front/7".into()),
            protocol: Some("http".into()),
            query: None,
            route: Some("/front/{id}".into()),
            peer: None,
            body_bytes: None,
            answer_bytes: None,
            status: Some(200),
            is_answered: true,
            is_resent: false,
            has_session: false,
        },
    }
}

/// A stand-in for each of these modules and instances.
pub fn stand_ins(names: &[(&str, &str)]) -> StandIns {
    let one = |(index, (module, instance)): (usize, &(&str, &str))| Instance {
        module: (*module).to_owned(),
        instance: (*instance).to_owned(),
        url: format!("http://127.0.0.1:{}", 40_001 + index),
    };
    StandIns::new(names.iter().enumerate().map(one).collect()).unwrap()
}

/// The answer in which such a stand-in describes itself.
pub fn probe_of(instance: &Instance, slots: Option<u32>, policy: &str, mips: Option<f64>) -> Probe {
    Probe {
        stand_in: 1,
        module: instance.module.clone(),
        instance: instance.instance.clone(),
        slots,
        slot_policy: policy.to_owned(),
        mips_per_core: mips,
    }
}
