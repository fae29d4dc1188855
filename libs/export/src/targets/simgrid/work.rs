//! [`Writer`]: writes `workload.tsv`, with one line for each root, invocation and call.

use std::io::Write as _;

use cctf_proto::cctf::SpanId;
use plan::plan::{Call, Ends, Invocation, Tree, Wait, What};
use plan::stations::{self, Fails, Load, Visit};
use plan::work::{self, Waited};
use rundir::output::LinesOut;

use super::picks::Pick;
use crate::source::Source;

/// The columns that describe for what a call, or the answer of an invocation, waits.
const WAIT_FIELDS: &str =
    "after\tany_of\tneed\tgap_ns\tgap_cpu_ns\tgap_cpu_wait_ns\trecorded_slot_wait_ns\tslot_wakeup_ns";
const ROOT_FIELDS: &str = "at_ns\ttrace_id\tcall_span_id\tout_ns\tback_ns";
const INVOCATION_FIELDS: &str = "span_id\tstation\tendpoint\tkind\tqueues\tfailed\tfails\tcpu_ns\tbeside_cpu_ns\tbytes_in\tbytes_out\tstatus\terror\trecorded_wait_ns\twakeup_ns";
const CALL_FIELDS: &str = "callees\tspan_id\tlabel\twhat\tends\tduration_ns\tafter_answer\tretry_of\tfailed\tfails_invocation\tout_ns\tback_ns\tahead_ns\tearly_ns\tbytes_out\tbytes_in\tstatus\terror\tresends";

/// Writes roots. All times are integer nanoseconds.
pub struct Writer<'a> {
    source: &'a Source<'a>,
    load: &'a Load,
    /// The time from which arrivals count.
    zero_ns: i64,
    out: LinesOut,
    line: Line,
}

impl<'a> Writer<'a> {
    pub fn new(
        source: &'a Source<'a>,
        load: &'a Load,
        zero_ns: i64,
        mut out: LinesOut,
    ) -> anyhow::Result<Self> {
        for (kind, fields) in [
            ("root", ROOT_FIELDS.to_owned()),
            ("invocation", format!("{INVOCATION_FIELDS}\t{WAIT_FIELDS}")),
            ("call", format!("{CALL_FIELDS}\t{WAIT_FIELDS}")),
        ] {
            out.write(format!("#{kind}\t{fields}").as_bytes())?;
        }
        Ok(Self {
            source,
            load,
            zero_ns,
            out,
            line: Line(Vec::new()),
        })
    }

    /// Writes a root and everything that it causes.
    pub fn root(&mut self, pick: &Pick, tree: &Tree) -> anyhow::Result<()> {
        let arrival = &self.load.arrivals[pick.arrival as usize];
        let line = self.line.begin("root");
        line.number(pick.at_ns - self.zero_ns);
        line.text(&pick.trace_id.to_string());
        line.span(pick.call_span_id);
        // Both times are 0 if the call from outside has no row.
        line.number(arrival.out_ns);
        line.number(arrival.back_ns);
        self.write()?;
        let first = arrival.visit as usize;
        for (place, invocation) in tree.invocations.iter().enumerate() {
            let visit = &self.load.visits[first + place];
            let span_id = if place == 0 { pick.span_id } else { visit.span_id };
            self.invocation(span_id, invocation, visit)?;
            let recorded = &self.source.plan.recorded;
            let made = recorded.works[invocation.work as usize].calls();
            for (call, number) in invocation.calls.iter().zip(visit.calls()) {
                let place = number - visit.first_call as usize;
                self.call(call, number, visit, &recorded.calls[made.start + place])?;
            }
        }
        Ok(())
    }

    fn invocation(&mut self, span_id: SpanId, invocation: &Invocation, visit: &Visit) -> anyhow::Result<()> {
        let line = self.line.begin("invocation");
        line.span(Some(span_id));
        line.number(invocation.instance);
        line.number(invocation.endpoint);
        line.text(invocation.kind.as_str());
        line.flag(visit.waited != Waited::Unknown);
        line.flag(invocation.is_failed);
        line.text(match visit.fails {
            Fails::Never => "never",
            Fails::Always => "always",
            Fails::WithCalls => "with_calls",
        });
        line.maybe(invocation.cpu.ns());
        line.number(invocation.beside_cpu_ns);
        line.maybe(invocation.bytes_in);
        line.maybe(invocation.bytes_out);
        line.maybe(invocation.status.filter(|status| *status >= 0));
        line.maybe(invocation.error);
        line.number(visit.wait_ns);
        line.number(visit.setup_ns);
        self.wait(&invocation.answer, &visit.answer, visit);
        self.write()
    }

    fn call(&mut self, call: &Call, number: usize, visit: &Visit, made: &work::Call) -> anyhow::Result<()> {
        let flat = &self.load.calls[number];
        let line = self.line.begin("call");
        line.list(
            call.callees
                .iter()
                .map(|callee| format!("{}:{}", callee.invocation, callee.delay_ns)),
        );
        line.span(has_row(self.source, call, made).then_some(made.span_id));
        line.maybe(call.label);
        line.text(match call.what {
            What::Request => "request",
            What::Message => "message",
            What::Sleep => "sleep",
        });
        let (ends, duration_ns) = match call.ends {
            Ends::Answer => ("answer", 0),
            Ends::Duration(ns) => ("duration", ns),
            Ends::Timeout(ns) => ("timeout", ns),
        };
        line.text(ends);
        line.number(duration_ns);
        line.flag(call.is_after_answer);
        line.maybe(call.retry_of);
        line.flag(call.is_failed);
        line.flag(flat.fails_visit);
        line.number(flat.out_ns);
        line.number(flat.back_ns);
        line.number(flat.ahead_ns);
        line.number(flat.early_ns);
        line.maybe(call.bytes_out);
        line.maybe(call.bytes_in);
        line.maybe(call.status.filter(|status| *status >= 0));
        line.maybe(call.error);
        line.number(made.facts.resends);
        self.wait(&call.wait, &flat.wait, visit);
        self.write()
    }

    /// Writes the columns of a wait. The lists of calls are those of `plan::stations`, in which a retry also waits for its
    /// earlier attempt.
    fn wait(&mut self, planned: &Wait, flat: &stations::Wait, visit: &Visit) {
        let (after, any_of) = flat.of(&self.load.waits_for);
        let line = &mut self.line;
        for calls in [after, any_of] {
            line.list(calls.iter().map(|call| (call - visit.first_call).to_string()));
        }
        line.number(flat.need);
        line.number(planned.gap_ns);
        line.number(planned.cpu_ns);
        line.number(planned.cpu_wait_ns);
        line.number(flat.slot_wait_ns);
        line.number(flat.setup_ns);
    }

    fn write(&mut self) -> anyhow::Result<()> {
        self.out.write(&self.line.0)
    }

    pub fn finish(self) -> anyhow::Result<()> {
        self.out.finish().map(drop)
    }
}

/// Whether a call has a row of its own. A sleep has none. An inferred call has none, either: it has no label, and its id is that
/// of the invocation that it reached.
fn has_row(source: &Source<'_>, call: &Call, made: &work::Call) -> bool {
    let callee = source.plan.recorded.work(made.callee);
    let is_inferred = call.label.is_none() && callee.is_some_and(|callee| callee.span_id == made.span_id);
    call.what != What::Sleep && !is_inferred
}

/// A line of tab-separated fields.
struct Line(Vec<u8>);

impl Line {
    fn begin(&mut self, kind: &str) -> &mut Self {
        self.0.clear();
        self.0.extend_from_slice(kind.as_bytes());
        self
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'\t');
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        // Writing to a vector cannot fail.
        let _ = write!(self.0, "\t{number}");
    }

    fn maybe(&mut self, number: Option<impl std::fmt::Display>) {
        match number {
            Some(number) => self.number(number),
            None => self.text("-"),
        }
    }

    fn span(&mut self, span_id: Option<SpanId>) {
        self.maybe(span_id);
    }

    fn flag(&mut self, flag: bool) {
        self.text(if flag { "1" } else { "0" });
    }

    fn list(&mut self, items: impl Iterator<Item = String>) {
        let begin = self.0.len();
        for item in items {
            self.0.push(if self.0.len() == begin { b'\t' } else { b',' });
            self.0.extend_from_slice(item.as_bytes());
        }
        if self.0.len() == begin {
            self.text("-");
        }
    }
}
