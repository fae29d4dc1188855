//! [`is_different`]: whether two works ask anything else of their stations.

use plan::work::{Arrival, Call, Work, Works};

/// Whether anything differs that the simulator uses. Ids and recorded waits do not count.
pub fn is_different(a: &Works, b: &Works) -> bool {
    let stations = |works: &Works| -> Vec<_> {
        let instances = works.names.instances.iter();
        instances
            .map(|instance| {
                (
                    works.names.modules[instance.module as usize].clone(),
                    instance.station,
                )
            })
            .collect()
    };
    differ(&a.arrivals, &b.arrivals, arrival)
        || differ(&a.works, &b.works, work)
        || differ(&a.calls, &b.calls, call)
        || a.waits_for != b.waits_for
        || stations(a) != stations(b)
}

fn differ<T, K: PartialEq>(a: &[T], b: &[T], key: impl Fn(&T) -> K) -> bool {
    a.len() != b.len() || a.iter().zip(b).any(|(a, b)| key(a) != key(b))
}

fn arrival(arrival: &Arrival) -> impl PartialEq + use<> {
    (
        arrival.work,
        arrival.at_ns,
        arrival.out_ns,
        arrival.back_ns,
        arrival.is_root,
    )
}

fn work(work: &Work) -> impl PartialEq + use<> {
    let times = (work.setup_ns, work.tail_ns, work.wait_ns == 0);
    let places = (
        work.first_call,
        work.calls,
        work.caller,
        work.sibling,
        work.instance,
    );
    (times, places, work.waited)
}

fn call(call: &Call) -> impl PartialEq + use<> {
    let times = (call.gap_ns, call.out_ns, call.back_ns, call.duration_ns);
    let slots = (call.setup_ns, call.early_ns, call.slot_wait_ns == 0);
    let places = (
        call.work,
        call.callee,
        call.ending,
        call.place,
        call.begins_group,
        call.waits,
    );
    (times, slots, places)
}
