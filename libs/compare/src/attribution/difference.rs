//! [`is_different`]: whether two loads differ in anything that affects a simulation.

use plan::stations::{Arrival, Call, Load, Visit, Wait};

/// Whether anything differs that the simulator uses. Ids and recorded waits are ignored.
pub fn is_different(a: &Load, b: &Load) -> bool {
    let stations = |load: &Load| -> Vec<_> {
        let instances = load.names.instances.iter();
        instances
            .map(|instance| {
                (
                    load.names.modules[instance.module as usize].clone(),
                    instance.station,
                )
            })
            .collect()
    };
    differ(&a.arrivals, &b.arrivals, arrival)
        || differ(&a.visits, &b.visits, visit)
        || differ(&a.calls, &b.calls, call)
        || a.waits_for != b.waits_for
        || stations(a) != stations(b)
}

fn differ<T, K: PartialEq>(a: &[T], b: &[T], key: impl Fn(&T) -> K) -> bool {
    a.len() != b.len() || a.iter().zip(b).any(|(a, b)| key(a) != key(b))
}

fn arrival(arrival: &Arrival) -> impl PartialEq + use<> {
    (
        arrival.visit,
        arrival.at_ns,
        arrival.out_ns,
        arrival.back_ns,
        arrival.is_root,
    )
}

fn visit(visit: &Visit) -> impl PartialEq + use<> {
    let times = (visit.setup_ns, visit.wait_ns == 0, visit.delay_ns);
    let places = (
        visit.first_call,
        visit.calls,
        visit.caller,
        visit.sibling,
        visit.instance,
    );
    (times, places, visit.waited, visit.fails, wait(&visit.answer))
}

fn wait(wait: &Wait) -> impl PartialEq + use<> {
    let calls = (wait.first, wait.after, wait.any_of, wait.need);
    (calls, wait.gap_ns, wait.setup_ns, wait.slot_wait_ns == 0)
}

fn call(call: &Call) -> impl PartialEq + use<> {
    let times = (call.out_ns, call.back_ns, call.ahead_ns, call.early_ns, call.ends);
    let places = (call.visit, call.callee, call.retry_of);
    let kind = (
        call.is_after_answer,
        call.is_message,
        call.is_failed,
        call.fails_visit,
    );
    (wait(&call.wait), times, places, kind)
}
