//! [`Jobs`]: writes the requests of each instance in the Standard Workload Format, which has one job a line with 18 numbers. The
//! times in the file are microseconds, because CloudSim Plus reads only integers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

use cctf_proto::cctf::Milliseconds;
use plan::plan::Invocation;

use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// A request at its instance. Times are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    instance: u32,
    at_ns: i64,
    /// Time for which the request waited for a slot.
    wait_ns: i64,
    /// Time for which the request occupied a slot.
    occupied_ns: i64,
    cpu_ns: Option<i64>,
    bytes_in: u32,
    is_failed: bool,
}

/// The requests of all instances.
#[derive(Debug, Default)]
pub struct Jobs {
    requests: Vec<Request>,
    /// Number of requests that occupied a slot for less than half a microsecond. The file states 1 us for them.
    pub shortened: u64,
}

/// An instance as a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    pub instance: u32,
    pub file: String,
    /// Number of processing elements of its VM.
    pub slots: u32,
}

impl Jobs {
    /// Collects the requests of the exported roots. All of them are in memory at once, with 56 bytes each, because the requests
    /// of each instance must be sorted by arrival.
    pub fn new(source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<(Self, Counts)> {
        let (mut jobs, mut counts) = (Self::default(), Counts::default());
        let roots = source.roots();
        for (number, tree) in (1..).zip(source.trees()) {
            counts.add_tree(source, &tree);
            let requests = tree
                .invocations
                .iter()
                .map(|invocation| request(source, invocation));
            jobs.requests.extend(requests);
            job.advance(number, roots)?;
        }
        // Requests of an instance that arrive at the same time stay in the order of their roots.
        jobs.requests
            .sort_by_key(|request| (request.instance, request.at_ns));
        jobs.shortened = jobs
            .requests
            .iter()
            .filter(|request| microseconds(request.occupied_ns) < 1)
            .count() as u64;
        Ok((jobs, counts))
    }

    /// Writes a file for each instance that has requests.
    pub fn write(&self, source: &Source<'_>, job: &Job<'_>) -> anyhow::Result<Vec<Station>> {
        let first_ns = self
            .requests
            .iter()
            .map(|request| request.at_ns)
            .min()
            .unwrap_or(0);
        let mut stations = Vec::new();
        for requests in self
            .requests
            .chunk_by(|one, other| one.instance == other.instance)
        {
            let station = station(source, requests);
            let mut out = job.lines(&station.file)?;
            for line in header(source, &station, first_ns, requests.len()) {
                out.write(line.as_bytes())?;
            }
            for (number, request) in (1..).zip(requests) {
                out.write(line(number, request, first_ns, &station).as_bytes())?;
            }
            out.finish()?;
            stations.push(station);
        }
        Ok(stations)
    }
}

/// The table of instances. The instance's name is the last column, because it can contain commas.
pub fn table(source: &Source<'_>, stations: &[Station]) -> String {
    let mut out = "station,file,slots,instance\n".to_owned();
    for Station {
        instance,
        file,
        slots,
    } in stations
    {
        let name = source.instance_name(*instance).replace(['\n', '\r'], " ");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{instance},{file},{slots},{name}");
    }
    out
}

fn request(source: &Source<'_>, invocation: &Invocation) -> Request {
    let recorded = &source.plan.recorded;
    let work = &recorded.works[invocation.work as usize];
    let station = recorded.names.instances[work.instance as usize].station;
    let is_released = station.slots.is_some() && station.is_released;
    let own_ns = || {
        let on_slots = invocation
            .cpu
            .ns()
            .map_or(0, |cpu| cpu - invocation.beside_cpu_ns);
        on_slots + invocation.other_ns
    };
    Request {
        instance: work.instance,
        at_ns: work.enqueue_ns,
        wait_ns: work.wait_ns + if is_released { work.slot_wait_ns } else { 0 },
        occupied_ns: match (invocation.is_refused, is_released) {
            (true, _) | (_, true) => own_ns(),
            // The slot is also occupied during the wake-up.
            (false, false) => work.setup_ns + work.service_ns(),
        },
        cpu_ns: invocation.cpu.ns(),
        bytes_in: work.facts.bytes_in.unwrap_or(0),
        is_failed: invocation.is_failed,
    }
}

/// The VM of an instance. If the number of slots is unknown, the VM gets as many processing elements as requests were ever in
/// progress at once. So no request waits.
fn station(source: &Source<'_>, requests: &[Request]) -> Station {
    let instance = requests.first().map_or(0, |request| request.instance);
    let slots = source.plan.recorded.names.instances[instance as usize]
        .station
        .slots;
    Station {
        instance,
        file: format!("swf/{instance}.swf"),
        slots: slots.unwrap_or_else(|| most_at_once(requests)),
    }
}

fn most_at_once(requests: &[Request]) -> u32 {
    let (mut ends, mut most) = (BinaryHeap::new(), 0);
    for request in requests {
        let at_us = microseconds(request.at_ns);
        while ends.peek().is_some_and(|Reverse(end_us)| *end_us <= at_us) {
            ends.pop();
        }
        ends.push(Reverse(at_us + microseconds(request.occupied_ns).max(1)));
        most = most.max(ends.len());
    }
    u32::try_from(most).unwrap_or(u32::MAX)
}

fn header(source: &Source<'_>, station: &Station, first_ns: i64, jobs: usize) -> [String; 8] {
    let name = source.instance_name(station.instance).replace(['\n', '\r'], " ");
    let names = &source.plan.recorded.names;
    let node = &names.nodes[names.instances[station.instance as usize].node as usize];
    [
        "; Version: 2.2".to_owned(),
        format!("; Computer: {name} on {}", node.replace(['\n', '\r'], " ")),
        format!("; Installation: run {}", source.run.id().replace(['\n', '\r'], " ")),
        format!("; MaxJobs: {jobs}"),
        format!("; UnixStartTime: {}", first_ns.div_euclid(1_000_000_000)),
        format!("; MaxProcs: {}", station.slots),
        format!("; Note: all times are microseconds after {} ms", Milliseconds::from_ns(first_ns)),
        "; Note: field 3 is the wait for a slot, field 4 the time on it, field 6 the CPU time, field 7 KiB received".to_owned(),
    ]
}

/// The 18 fields of a request. -1 means unknown.
fn line(number: u64, request: &Request, first_ns: i64, station: &Station) -> String {
    let submit = microseconds(request.at_ns - first_ns);
    let wait = microseconds(request.wait_ns);
    let run = microseconds(request.occupied_ns).max(1);
    let cpu = request.cpu_ns.map_or(-1, microseconds);
    let kib = request.bytes_in.div_ceil(1024);
    let status = u32::from(!request.is_failed);
    let queue = station.instance;
    format!("{number} {submit} {wait} {run} 1 {cpu} {kib} 1 -1 -1 {status} -1 -1 -1 {queue} -1 -1 -1")
}

/// Rounded to the nearest microsecond.
fn microseconds(ns: i64) -> i64 {
    (ns + 500).div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at_us: i64, occupied_us: i64) -> Request {
        Request {
            instance: 3,
            at_ns: at_us * 1000,
            wait_ns: 1_499,
            occupied_ns: occupied_us * 1000,
            cpu_ns: None,
            bytes_in: 1025,
            is_failed: false,
        }
    }

    #[test]
    fn a_line_has_18_numbers_in_microseconds() {
        let station = Station {
            instance: 3,
            file: String::new(),
            slots: 2,
        };
        let line = line(7, &request(15, 0), 5_000, &station);
        assert_eq!(line, "7 10 1 1 1 -1 2 1 -1 -1 1 -1 -1 -1 3 -1 -1 -1");
    }

    #[test]
    fn without_slots_as_many_as_were_in_progress_at_once() {
        let requests = [(0, 10), (1, 2), (3, 4), (10, 1)].map(|(at, occupied)| request(at, occupied));
        assert_eq!(most_at_once(&requests), 2);
    }
}
