//! [`Slices`]: writes invocations and their calls as slices.

use plan::work::{Call, What, Work};

use super::packets::{Category, Detail, Details, Packets, Slice};
use super::tracks::{Kind, Owner, Tracks};
use crate::source::Source;

/// The exported invocations. Their slices are written in the order of their start.
pub struct Slices<'a> {
    source: &'a Source<'a>,
    works: Vec<u32>,
    endpoints: Vec<String>,
    labels: Vec<String>,
    /// Calls that got a slice, and the number of messages among them.
    pub calls: u64,
    pub messages: u64,
    /// Arrows from calls that start after the invocation that they caused has arrived. These arrows point backwards.
    pub backward: u64,
}

impl<'a> Slices<'a> {
    pub fn new(source: &'a Source<'a>, works: &[u32]) -> Self {
        let recorded = &source.plan.recorded;
        let endpoints = 0..recorded.names.endpoints.len() as u32;
        let labels = recorded.texts.labels.iter().map(|label| {
            let parts = [&label.method, &label.path].into_iter().flatten();
            let name = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
            match (&label.to, name.is_empty()) {
                (Some(to), true) => to.clone(),
                (Some(to), false) => format!("{name} -> {to}"),
                (None, _) => name,
            }
        });
        Self {
            source,
            works: works.to_vec(),
            endpoints: endpoints.map(|endpoint| source.endpoint_name(endpoint)).collect(),
            labels: labels.collect(),
            calls: 0,
            messages: 0,
            backward: 0,
        }
    }

    /// Writes the waits in queues, from arrival to start.
    pub fn waits(&mut self, packets: &mut Packets, tracks: &mut Tracks<'_>) -> anyhow::Result<()> {
        let recorded = &self.source.plan.recorded;
        self.works
            .sort_by_key(|&work| (recorded.works[work as usize].enqueue_ns, work));
        for &index in &self.works {
            let work = &recorded.works[index as usize];
            let times = (work.enqueue_ns, work.start_ns());
            if times.0 == times.1 {
                continue;
            }
            let track = tracks.lane(packets, Owner::Instance(work.instance), Kind::Queue, times)?;
            packets.begin(Slice {
                track,
                start_ns: times.0,
                name: &self.endpoints[work.endpoint as usize],
                category: Category::Queue,
                details: ids(work),
                flows: vec![flow(index)],
            })?;
            packets.end(track, times.1)?;
        }
        Ok(())
    }

    /// Writes the service times of invocations, and the calls within them.
    pub fn services(&mut self, packets: &mut Packets, tracks: &mut Tracks<'_>) -> anyhow::Result<()> {
        let source = self.source;
        let recorded = &source.plan.recorded;
        self.works
            .sort_by_key(|&work| (recorded.works[work as usize].start_ns(), work));
        let works = std::mem::take(&mut self.works);
        for &index in &works {
            let work = &recorded.works[index as usize];
            let times = (work.start_ns(), work.end_ns());
            let track = tracks.lane(packets, Owner::Instance(work.instance), Kind::Slot, times)?;
            packets.begin(Slice {
                track,
                start_ns: times.0,
                name: &self.endpoints[work.endpoint as usize],
                category: Category::Service,
                details: self.details(work),
                flows: match work.enqueue_ns == times.0 {
                    true => vec![flow(index)],
                    false => Vec::new(),
                },
            })?;
            self.nested_calls(packets, track, work)?;
            packets.end(track, times.1)?;
        }
        self.works = works;
        self.other_calls(packets, tracks)
    }

    /// Writes the calls that lie within their invocation and do not overlap other calls of it.
    fn nested_calls(&mut self, packets: &mut Packets, track: u64, work: &Work) -> anyhow::Result<()> {
        let source = self.source;
        let recorded = &source.plan.recorded;
        let mut nested = Nested::new(work);
        for call in &recorded.calls[work.calls()] {
            if source.has_row(call) && nested.takes(call) {
                self.call(packets, track, call)?;
            }
        }
        Ok(())
    }

    /// Writes all other calls in the order of their start: calls that overlap others, or do not lie within their invocation.
    fn other_calls(&mut self, packets: &mut Packets, tracks: &mut Tracks<'_>) -> anyhow::Result<()> {
        let source = self.source;
        let recorded = &source.plan.recorded;
        let mut others: Vec<(i64, u32)> = Vec::new();
        for &index in &self.works {
            let work = &recorded.works[index as usize];
            let mut nested = Nested::new(work);
            for place in work.calls() {
                let call = &recorded.calls[place];
                if source.has_row(call) && !nested.takes(call) {
                    others.push((call.start_ns, place as u32));
                }
            }
        }
        others.sort_unstable();
        for (start_ns, place) in others {
            let call = &recorded.calls[place as usize];
            let owner = Owner::Instance(recorded.works[call.work as usize].instance);
            let times = (start_ns, call.end_ns.max(start_ns));
            let track = tracks.lane(packets, owner, Kind::Call, times)?;
            self.call(packets, track, call)?;
        }
        Ok(())
    }

    fn call(&mut self, packets: &mut Packets, track: u64, call: &Call) -> anyhow::Result<()> {
        let recorded = &self.source.plan.recorded;
        let facts = &call.facts;
        let mut details = Details::default();
        details.text(
            Detail::TraceId,
            hex(&recorded.works[call.work as usize].trace_id.0),
        );
        details.text(Detail::SpanId, hex(&call.span_id.0));
        details.number(Detail::Status, facts.status);
        if let Some(error) = facts.error {
            details.text(Detail::ErrorType, recorded.texts.errors[error as usize].as_str());
        }
        details.number(Detail::BytesOut, facts.bytes_out);
        details.number(Detail::BytesIn, facts.bytes_in);
        let mut flows = Vec::new();
        let mut callee = call.callee;
        while let Some(called) = recorded.work(callee) {
            flows.push(flow(callee));
            self.backward += u64::from(called.enqueue_ns < call.start_ns);
            callee = called.sibling;
        }
        self.calls += 1;
        self.messages += u64::from(call.what == What::Message);
        let label = facts.label.map(|label| self.labels[label as usize].as_str());
        packets.begin(Slice {
            track,
            start_ns: call.start_ns,
            name: label.unwrap_or("call"),
            category: Category::Call,
            details,
            flows,
        })?;
        packets.end(track, call.end_ns.max(call.start_ns))
    }

    fn details(&self, work: &Work) -> Details {
        let facts = &work.facts;
        let mut details = ids(work);
        details.number(Detail::Status, facts.status);
        if let Some(error) = facts.error {
            let errors = &self.source.plan.recorded.texts.errors;
            details.text(Detail::ErrorType, errors[error as usize].as_str());
        }
        details.number(Detail::BytesIn, facts.bytes_in);
        details.number(Detail::BytesOut, facts.bytes_out);
        details.number(Detail::CpuNs, facts.cpu_ns);
        details.number(Detail::QueueNs, facts.queue_ns);
        details
    }
}

/// Selects the calls of an invocation whose slices can be nested in the slice of the invocation.
struct Nested {
    begin_ns: i64,
    end_ns: i64,
}

impl Nested {
    fn new(work: &Work) -> Self {
        Self {
            begin_ns: work.start_ns(),
            end_ns: work.end_ns(),
        }
    }

    /// Returns whether a call can be nested. Calls must come in the order of their start.
    fn takes(&mut self, call: &Call) -> bool {
        let end_ns = call.end_ns.max(call.start_ns);
        let fits = call.start_ns >= self.begin_ns && end_ns <= self.end_ns;
        if fits {
            self.begin_ns = end_ns;
        }
        fits
    }
}

fn ids(work: &Work) -> Details {
    let mut details = Details::default();
    details.text(Detail::TraceId, hex(&work.trace_id.0));
    details.text(Detail::SpanId, hex(&work.span_id.0));
    details
}

/// The flow from a call to the invocation `work` that it caused. If no call has this flow, Perfetto shows no arrow.
pub fn flow(work: u32) -> u64 {
    u64::from(work) + 1
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
