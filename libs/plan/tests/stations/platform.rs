//! Other platforms than the recorded one: CPUs that requests share, node speeds, slots and links.

use foldhash::{HashMap, HashMapExt as _};
use plan::plan::Ends;
use plan::stations::{
    Failures, Host, Link, Load, Outcome, Platform, Server, Simulation, State, WHOLE_PPM, Way, kept_cpu_waits,
    simulate, simulate_on,
};
use plan::work::{NONE, Station};
use proptest::prelude::*;

use crate::build::{Branch, Forest, Random, Tree, Waits, add_root, empty, random_load, station};

/// Mean service time. Rounding to nanoseconds changes it by less than a thousandth.
const SERVICE_NS: f64 = 10_000.0;

fn run(load: &Load, platform: &Platform) -> Simulation {
    simulate_on(load, platform, Failures::Simulated)
}

/// All instances share CPUs, and are so many times slower than recorded.
fn with_cpus(load: &Load, cores: u32, slowness: f64) -> Platform {
    let mut platform = Platform::recorded(load);
    platform.servers.push(Server { capacity: cores });
    for host in &mut platform.hosts {
        (host.cpus, host.slowness) = (0, slowness);
    }
    platform
}

/// Own time of which `cpu_ns` needs a CPU.
fn own(cpu_ns: i64, other_ns: i64) -> Waits {
    Waits {
        gap_ns: cpu_ns + other_ns,
        cpu_ns,
        ..Waits::default()
    }
}

fn leaf(cpu_ns: i64, other_ns: i64) -> Tree {
    Tree {
        answer: own(cpu_ns, other_ns),
        ..Tree::leaf(0)
    }
}

fn responses(simulation: &Simulation) -> Vec<i64> {
    simulation.outcomes.iter().map(Outcome::response_ns).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn with_plenty_of_cpus_nothing_waits_for_one(seed: u64, slots in 1..4_u32, roots in 1..12_u64) {
        let stations = [0, 1, 2, 3].map(|more| station(slots + more, more % 2 == 0, None));
        let mut load = random_load(&mut Forest::new(seed), &stations, roots);
        let mut random = Random(seed);
        let mut part = |gap_ns: i64| random.below(gap_ns as u64 + 1) as i64;
        for call in &mut load.calls {
            // When a slot is released inside of CPU time, or an answer is ahead of its end, depends on CPUs.
            (call.early_ns, call.ahead_ns) = (0, 0);
            call.wait.cpu_ns = if call.is_after_answer { 0 } else { part(call.wait.gap_ns) };
        }
        for visit in &mut load.visits {
            visit.answer.cpu_ns = part(visit.answer.gap_ns);
        }
        let found = run(&load, &with_cpus(&load, 100_000, 1.0));
        prop_assert_eq!(found.outcomes, simulate(&load));
    }

    #[test]
    fn cpus_are_shared_as_a_fluid_is(seed: u64, cores in 1..4_u32, count in 1..60_usize) {
        let mut random = Random(seed);
        let mut load = empty(&[Station::default()]);
        let (mut at, mut jobs) = (0, Vec::new());
        for _ in 0..count {
            at += random.exponential(SERVICE_NS / f64::from(cores));
            let work_ns = random.exponential(SERVICE_NS);
            jobs.push((at, work_ns));
            add_root(&mut load, at, &leaf(work_ns, 0));
        }
        let found = responses(&run(&load, &with_cpus(&load, cores, 1.0)));
        let expected = fluid(&jobs, cores);
        for (found, expected) in found.iter().zip(expected) {
            // Each end is rounded up to the next nanosecond.
            prop_assert!((*found as f64 - expected).abs() <= 2.0 + count as f64, "{} {}", found, expected);
        }
    }
}

/// Responses of jobs that share cores, by steps from one change to the next.
fn fluid(jobs: &[(i64, i64)], cores: u32) -> Vec<f64> {
    let mut left: Vec<f64> = jobs.iter().map(|job| job.1 as f64).collect();
    let mut ends = vec![f64::NAN; jobs.len()];
    let mut now = 0.0;
    while ends.iter().any(|end| end.is_nan()) {
        let active: Vec<usize> = (0..jobs.len())
            .filter(|job| ends[*job].is_nan() && jobs[*job].0 as f64 <= now)
            .collect();
        let arrivals = jobs.iter().map(|job| job.0 as f64).filter(|at| *at > now);
        let next_arrival = arrivals.fold(f64::INFINITY, f64::min);
        let speed = (f64::from(cores) / active.len() as f64).min(1.0);
        let least = active.iter().map(|job| left[*job]).fold(f64::INFINITY, f64::min);
        let step = (least / speed).min(next_arrival - now);
        now += step;
        for job in active {
            left[job] -= step * speed;
            if left[job] <= 1e-6 {
                ends[job] = now - jobs[job].0 as f64;
            }
        }
    }
    ends
}

/// Mean response of Poisson arrivals at one CPU, in mean services.
fn mean_response(rho: f64, seed: u64, mut service: impl FnMut(&mut Random) -> i64) -> f64 {
    const COUNT: usize = 200_000;
    let mut random = Random(seed);
    let mut load = empty(&[Station::default()]);
    let mut at = 0;
    for _ in 0..COUNT {
        at += random.exponential(SERVICE_NS / rho);
        let work_ns = service(&mut random);
        add_root(&mut load, at, &leaf(work_ns, 0));
    }
    let found = responses(&run(&load, &with_cpus(&load, 1, 1.0)));
    found.iter().sum::<i64>() as f64 / COUNT as f64 / SERVICE_NS
}

/// The mean response of a shared CPU depends on the mean service only (Kleinrock, 1967).
#[test]
fn a_shared_cpu_has_the_mean_response_of_theory() {
    let rho = 0.6;
    let expected = 1.0 / (1.0 - rho);
    let exponential = mean_response(rho, 1, |random| random.exponential(SERVICE_NS));
    let constant = mean_response(rho, 2, |_| SERVICE_NS as i64);
    for mean in [exponential, constant] {
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean} {expected}");
    }
}

#[test]
fn a_slower_node_needs_more_cpu_time_and_no_other_time() {
    let mut load = empty(&[station(1, false, None)]);
    add_root(&mut load, 0, &leaf(1_000, 500));
    for (slowness, response) in [(1.0, 1_500), (2.0, 2_500), (0.5, 1_000)] {
        let found = run(&load, &with_cpus(&load, 1, slowness));
        assert_eq!(responses(&found), [response]);
        assert_eq!(found.worked_ns, [response - 500]);
        assert_eq!(found.waited_ns, [0]);
        let mut unlimited = Platform::recorded(&load);
        unlimited.hosts[0].slowness = slowness;
        assert_eq!(responses(&run(&load, &unlimited)), [response]);
    }
}

#[test]
fn recorded_waits_for_cpus_are_replaced_where_there_are_cpus() {
    let mut load = empty(&[station(2, false, None)]);
    for _ in 0..2 {
        add_root(&mut load, 0, &leaf(1_000, 0));
    }
    for visit in &mut load.visits {
        (visit.answer.gap_ns, visit.answer.cpu_wait_ns) = (1_300, 300);
    }
    assert_eq!(responses(&run(&load, &Platform::recorded(&load))), [1_300; 2]);
    assert_eq!(responses(&run(&load, &with_cpus(&load, 2, 1.0))), [1_000; 2]);
    assert_eq!(responses(&run(&load, &with_cpus(&load, 1, 1.0))), [2_000; 2]);
}

#[test]
fn cpu_time_beside_calls_slows_others_only() {
    let mut load = empty(&[Station::default()]);
    let waits = Tree {
        beside_cpu_ns: 1_000,
        ..leaf(0, 5_000)
    };
    add_root(&mut load, 0, &waits);
    add_root(&mut load, 0, &leaf(1_000, 0));
    let found = run(&load, &with_cpus(&load, 1, 1.0));
    assert_eq!(responses(&found), [5_000, 2_000]);
}

/// A root at the first module with so many calls to the second one, one after the other.
fn calls(count: usize, bytes: [u32; 2]) -> Tree {
    let branch = |place: usize| Branch {
        waits: Waits {
            after: (0..place).collect(),
            ..own(10, 0)
        },
        out_ns: 40,
        back_ns: 60,
        bytes,
        ..Branch::to(Tree {
            instance: 1,
            ..leaf(100, 0)
        })
    };
    Tree {
        calls: (0..count).map(branch).collect(),
        answer: Waits {
            after: (0..count).collect(),
            ..own(10, 0)
        },
        ..leaf(0, 0)
    }
}

fn link(delay_ns: i64, ns_per_byte: f64) -> Link {
    Link {
        delay_ns,
        ns_per_byte,
    }
}

/// Both directions between the two modules are links of their own.
fn linked(load: &Load, before: Link, after: Link) -> Platform {
    let mut platform = Platform::recorded(load);
    platform.servers = vec![Server { capacity: 1 }; 2];
    let way = Way {
        before,
        after,
        servers: [0, 1],
    };
    platform.links = HashMap::new();
    platform.links.insert((0, 1), way);
    platform
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_link_of_delay_d_adds_2d_per_call_in_an_idle_system(count in 1..6_usize, delay_ns in 0..100_000_i64) {
        let mut load = empty(&[station(1, false, None), station(1, false, None)]);
        for root in 0..5 {
            add_root(&mut load, root * 10_000_000, &calls(count, [0; 2]));
        }
        let near = simulate(&load);
        let far = run(&load, &linked(&load, Link::default(), link(delay_ns, 0.0)));
        for (near, far) in near.iter().zip(&far.outcomes) {
            let added_ns = far.response_ns() - near.response_ns();
            let is_root = near.enqueue_ns % 10_000_000 == 0;
            prop_assert_eq!(added_ns, if is_root { 2 * delay_ns * count as i64 } else { 0 });
        }
    }
}

#[test]
fn a_link_replaces_the_time_on_the_recorded_link() {
    let mut load = empty(&[station(1, false, None), station(1, false, None)]);
    add_root(&mut load, 0, &calls(1, [4, 6]));
    let response = |before: Link, after: Link| responses(&run(&load, &linked(&load, before, after)))[0];
    let own = 10 + 100 + 10;
    assert_eq!(response(Link::default(), Link::default()), own + 100);
    // Of the recorded 100 ns, 2 * 20 + 10 * 2 are of the link.
    assert_eq!(response(link(20, 2.0), link(20, 2.0)), own + 100);
    assert_eq!(response(link(20, 2.0), Link::default()), own + 40);
    assert_eq!(response(link(20, 2.0), link(500, 10.0)), own + 40 + 1_000 + 100);
    // A recorded link of which the estimate is longer than the call.
    assert_eq!(response(link(80, 0.0), link(5, 0.0)), own + 10);
}

#[test]
fn bodies_at_the_same_time_share_the_rate_of_a_link() {
    let mut load = empty(&[station(9, false, None), station(9, false, None)]);
    for _ in 0..3 {
        add_root(&mut load, 0, &calls(1, [1_000, 0]));
    }
    let found = run(&load, &linked(&load, link(50, 0.0), link(50, 1.0)));
    let alone_ns = 10 + 1_000 + 100 + 100 + 10;
    let roots: Vec<i64> = responses(&found).into_iter().step_by(2).collect();
    assert_eq!(roots, [alone_ns + 2_000; 3]);
    assert_eq!(found.worked_ns, [3_000, 0]);
    // Each of the three takes as long as all of them.
    assert_eq!(found.waited_ns, [3 * 2_000, 0]);
}

#[test]
fn an_answer_over_a_slow_link_can_come_after_the_timeout() {
    let mut tree = calls(1, [0; 2]);
    tree.calls[0].ends = Ends::Timeout(400);
    let mut load = empty(&[station(1, false, None), station(1, false, None)]);
    add_root(&mut load, 0, &tree);
    let response = |delay_ns: i64| {
        let platform = linked(&load, Link::default(), link(delay_ns, 0.0));
        responses(&run(&load, &platform))[0]
    };
    assert_eq!(response(50), 10 + 100 + 100 + 100 + 10);
    assert_eq!(response(5_000), 10 + 400 + 10);
}

#[test]
fn requests_from_outside_pass_the_link_of_their_station() {
    let mut load = empty(&[station(1, false, None), station(1, false, None)]);
    add_root(&mut load, 1_000, &leaf(0, 100));
    let second = Tree {
        instance: 1,
        ..leaf(0, 100)
    };
    add_root(&mut load, 1_010, &second);
    (load.arrivals[0].out_ns, load.arrivals[0].back_ns) = (30, 30);
    let mut platform = Platform::recorded(&load);
    let way = Way {
        before: link(20, 0.0),
        after: link(200, 0.0),
        servers: [NONE; 2],
    };
    platform.outside.insert(0, way);
    let found = run(&load, &platform);
    assert_eq!(
        [0, 1].map(|visit: usize| found.outcomes[visit].enqueue_ns),
        [1_180, 1_010]
    );
    assert_eq!(platform.outside_ns(&load, &load.arrivals[0]), [210, 210]);
    assert_eq!(platform.outside_ns(&load, &load.arrivals[1]), [0, 0]);
}

#[test]
fn waits_for_cpus_that_other_processes_caused_stay_as_recorded() {
    let mut load = empty(&[Station::default()]);
    for (number, wait_ns) in [100, 300].into_iter().enumerate() {
        add_root(&mut load, 0, &leaf(100, 50));
        let answer = &mut load.visits[number].answer;
        answer.cpu_wait_ns = wait_ns;
        answer.gap_ns += wait_ns;
    }
    // On one CPU, both end after 200 ns: 200 ns of the recorded 400 ns are their own.
    let mut platform = with_cpus(&load, 1, 1.0);
    let kept = kept_cpu_waits(&load, &platform);
    assert_eq!(kept, [WHOLE_PPM / 2]);
    platform.hosts[0].cpu_wait_kept_ppm = kept[0];
    assert_eq!(responses(&run(&load, &platform)), [300, 400]);
    // Without CPUs, no wait arises, and all waits are as recorded.
    let recorded = Platform::recorded(&load);
    assert_eq!(kept_cpu_waits(&load, &recorded), [WHOLE_PPM]);
    assert_eq!(responses(&run(&load, &recorded)), [250, 450]);
}

#[test]
fn work_that_never_ends_ends_with_the_time() {
    let mut load = empty(&[station(1, false, None)]);
    for _ in 0..3 {
        add_root(&mut load, 1_760_000_000_000_000_000, &leaf(1_000_000, 50));
    }
    // The speed of a node is a millionth of a millionth of a millionth of the recorded one, or less.
    for slowness in [1e18, 1e300] {
        let found = run(&load, &with_cpus(&load, 1, slowness));
        let ended = found
            .outcomes
            .iter()
            .filter(|outcome| outcome.state == State::Served);
        assert_eq!(ended.count(), 3, "{slowness}");
    }
}

#[test]
fn other_slots_than_recorded_are_used_and_their_busy_time_is_counted() {
    let mut load = empty(&[station(1, false, None)]);
    for _ in 0..4 {
        add_root(&mut load, 0, &leaf(0, 100));
    }
    for (slots, last) in [(1, 400), (2, 200), (4, 100)] {
        let mut platform = Platform::recorded(&load);
        platform.hosts[0] = Host {
            station: station(slots, false, None),
            ..platform.hosts[0]
        };
        let found = run(&load, &platform);
        assert_eq!(responses(&found).into_iter().max(), Some(last));
        assert_eq!(found.held_ns, [400]);
    }
}
