//! [`Validation`]: checks the rows of one run folder. The caller passes the files in [`READ_ORDER`].

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::drivers::Drivers;
use super::graph::Graph;
use super::known::Known;
use super::placement::Placement;
use super::references::PendingReferences;
use super::report::{Findings, Place};
use super::rows::{Reader, add_unreadable, utf8};
use super::rules::Broken;
use super::run_meta::Observed;
use super::{inventory, invocations, metrics, run_meta};
use crate::cctf::{
    Call, Counts, File, HostMetric, Invocation, Link, LinkMetric, Module, Node, Part, PlacementEvent,
    RunMeta, SystemStat,
};

/// The order in which a [`Validation`] expects the files. Each file comes after the files to which its rows refer.
/// `run_meta.json` comes first, because the severity of all other findings depends on whether the run has ended.
pub const READ_ORDER: [File; File::ALL.len()] = [
    File::RunMeta,
    File::Nodes,
    File::ModuleInventory,
    File::Links,
    File::PlacementEvents,
    File::Invocations,
    File::Calls,
    File::HostMetrics,
    File::LinkMetrics,
    File::SystemStats,
];

/// One validation in progress. It does no I/O: the caller passes each file of [`READ_ORDER`], either [`whole`](Self::whole) or
/// line by line and then [`end_of_lines`](Self::end_of_lines), or reports it as [`missing`](Self::missing) or
/// [`too_long`](Self::too_long). Then [`references`](Self::references) checks the references between rows.
pub struct Validation {
    findings: Findings,
    reader: Reader,
    known: Known,
    placement: Placement,
    graph: Graph,
    drivers: Drivers,
    observed: Observed,
    /// The counts in `run_meta.json`.
    counts: Option<(Counts, Place)>,
    /// The part of the run, if `run_meta.json` names a later part.
    part: Option<Part>,
    is_later_part: bool,
}

impl Validation {
    /// Starts a validation. It keeps at most this number of findings for each rule, and counts all of them.
    pub fn new(findings_kept_per_rule: usize) -> Self {
        Self {
            findings: Findings::new(findings_kept_per_rule),
            reader: Reader::default(),
            known: Known::default(),
            placement: Placement::default(),
            graph: Graph::default(),
            drivers: Drivers::default(),
            observed: Observed::default(),
            counts: None,
            part: None,
            is_later_part: false,
        }
    }

    /// The part that `run_meta.json` names, if it is not the first one.
    pub fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    /// Marks the folder as a later part of a run, so that instances may have started in an earlier part. Call this before the
    /// end of `placement_events.jsonl`.
    pub fn mark_later_part(&mut self) {
        self.is_later_part = true;
    }

    /// Reports that the folder does not have this file.
    pub fn missing(&mut self, file: File) {
        self.findings
            .add(Broken::FileMissing, Place { file, line: None }, || {
                format!("{} is missing", file.name())
            });
        self.complete(file);
    }

    /// Reports a line that has more than `limit` bytes; without a line number, a whole file.
    pub fn too_long(&mut self, file: File, line: Option<u64>, limit: usize) {
        let place = Place { file, line };
        self.findings
            .add(Broken::TooLong, place, || format!("longer than {limit} bytes"));
        if line.is_some() {
            self.observed.add_lines(file, 1);
        }
    }

    /// Checks the content of a `.json` file.
    pub fn whole(&mut self, file: File, bytes: &[u8]) {
        match file {
            File::RunMeta => self.run_meta(bytes),
            File::Nodes => self.nodes(bytes),
            File::ModuleInventory => self.modules(bytes),
            File::Links => self.links(bytes),
            _ => debug_assert!(false, "{} is read by lines", file.name()),
        }
    }

    /// Checks a complete line of a `.jsonl` file, without its newline. Lines are numbered from 1.
    pub fn line(&mut self, file: File, number: u64, bytes: &[u8]) {
        let place = Place {
            file,
            line: Some(number),
        };
        if let Some(text) = utf8(bytes, place, &mut self.findings) {
            self.row(text, place);
        }
        self.observed.add_lines(file, 1);
    }

    /// Checks the last line of a `.jsonl` file if it has no newline. It counts only if it is a complete row.
    pub fn torn_line(&mut self, file: File, number: u64, bytes: &[u8]) {
        let place = Place {
            file,
            line: Some(number),
        };
        self.findings.add(Broken::LineNotWhole, place, || {
            "the last line has no newline".into()
        });
        let whole = std::str::from_utf8(bytes).ok().filter(|text| is_object(text));
        if whole.is_some_and(|text| self.row(text, place)) {
            self.observed.add_lines(file, 1);
        }
    }

    /// Call this when all lines of a `.jsonl` file have been passed.
    pub fn end_of_lines(&mut self, file: File) {
        self.observed.add_lines(file, 0);
        self.complete(file);
    }

    fn complete(&mut self, file: File) {
        if file != File::PlacementEvents {
            return;
        }
        let placement = std::mem::take(&mut self.placement);
        if !self.is_later_part {
            placement.check_stops(&mut self.findings);
            self.known.started = Some(placement.started());
        }
    }

    /// Checks the references between rows. Call this after all files.
    pub fn references(mut self) -> PendingReferences {
        self.drivers.check(&mut self.findings);
        let unresolved = self.graph.check(&mut self.findings);
        PendingReferences::new(unresolved, self.findings, self.observed, self.counts)
    }

    fn run_meta(&mut self, bytes: &[u8]) {
        let place = Place {
            file: File::RunMeta,
            line: None,
        };
        let Some(text) = utf8(bytes, place, &mut self.findings) else {
            return;
        };
        let text = text.trim_ascii();
        // It must be known whether the run has ended before the first finding is counted.
        self.findings.open =
            serde_json::from_str::<RunMeta<'_>>(text).is_ok_and(|row| row.ended_ts.is_none());
        let Some(row) = self.reader.row::<RunMeta<'_>>(text, place, &mut self.findings) else {
            return;
        };
        run_meta::check(&row, place, &mut self.findings);
        let later = row.part.filter(|&number| number > 1);
        self.part = later.map(|number| Part::later(&row.run_id, number));
        self.observed.add_lines(File::RunMeta, 1);
        self.counts = Some((row.counts, place));
    }

    fn nodes(&mut self, bytes: &[u8]) {
        let mut nodes = foldhash::HashMap::default();
        let is_read = self.each_item(File::Nodes, bytes, |validation, text, place| {
            let findings = &mut validation.findings;
            if let Some(row) = validation.reader.row::<Node<'_>>(text, place, findings) {
                inventory::check_node(&row, &mut nodes, place, findings);
            }
        });
        self.known.nodes = is_read.then_some(nodes);
    }

    /// Checks all modules before it checks their references, because a module may refer to a module that is listed after it.
    fn modules(&mut self, bytes: &[u8]) {
        let mut listed = HashSet::new();
        let mut references = Vec::new();
        let is_read = self.each_item(File::ModuleInventory, bytes, |validation, text, place| {
            let findings = &mut validation.findings;
            if let Some(row) = validation.reader.row::<Module<'_>>(text, place, findings) {
                inventory::check_module(&row, &mut listed, place, findings);
                references.push((text.to_owned(), place));
            }
        });
        self.known.modules = is_read.then(|| listed.into_iter().map(|(_, module)| module).collect());
        for (text, place) in &references {
            if let Ok(row) = serde_json::from_str::<Module<'_>>(text) {
                inventory::check_module_references(&row, &self.known, *place, &mut self.findings);
            }
        }
    }

    fn links(&mut self, bytes: &[u8]) {
        let mut listed = HashSet::new();
        self.each_item(File::Links, bytes, |validation, text, place| {
            let findings = &mut validation.findings;
            if let Some(row) = validation.reader.row::<Link<'_>>(text, place, findings) {
                inventory::check_link(&row, &validation.known, &mut listed, place, findings);
            }
        });
    }

    /// Passes each object of an array to `check`, with its line. Returns false if there is no valid array.
    fn each_item(&mut self, file: File, bytes: &[u8], mut check: impl FnMut(&mut Self, &str, Place)) -> bool {
        let place = Place { file, line: None };
        let Some(text) = utf8(bytes, place, &mut self.findings) else {
            return false;
        };
        let items = match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => items,
            // The earlier tooling (the runbook) writes the inventory of a single module as an object instead of an array.
            Err(_) if file == File::ModuleInventory && is_object(text) => {
                serde_json::from_str::<&RawValue>(text).into_iter().collect()
            }
            Err(error) => {
                add_unreadable(text, &error, place, &mut self.findings);
                return false;
            }
        };
        let (mut line, mut counted_to) = (1, 0);
        for item in &items {
            // The items borrow from the text, so their addresses give their offsets.
            let offset = item.get().as_ptr() as usize - text.as_ptr() as usize;
            line += memchr::memchr_iter(b'\n', &bytes[counted_to..offset]).count() as u64;
            counted_to = offset;
            let line = Some(line);
            check(self, item.get(), Place { file, line });
        }
        self.observed.add_lines(file, items.len() as u64);
        true
    }

    /// Checks one line. Returns false if it is not a valid row.
    fn row(&mut self, text: &str, place: Place) -> bool {
        match place.file {
            File::PlacementEvents => self.placement_line(text, place),
            File::Invocations => self.invocation_line(text, place),
            File::Calls => self.call_line(text, place),
            File::HostMetrics => self.host_line(text, place),
            File::LinkMetrics => self.link_line(text, place),
            File::SystemStats => self.stat_line(text, place),
            File::RunMeta | File::Nodes | File::Links | File::ModuleInventory => {
                debug_assert!(false, "{} is read whole", place.file.name());
                false
            }
        }
    }

    fn placement_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self
            .reader
            .row::<PlacementEvent<'_>>(text, place, &mut self.findings)
        else {
            return false;
        };
        self.placement.add(&row, &self.known, place, &mut self.findings);
        true
    }

    fn invocation_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self.reader.row::<Invocation<'_>>(text, place, &mut self.findings) else {
            return false;
        };
        invocations::check_invocation(&row, place, &mut self.findings);
        self.known
            .check_node(("node", &row.node), Some(row.stage), place, &mut self.findings);
        self.known
            .check_module(("module_id", &row.module_id), place, &mut self.findings);
        self.known
            .check_instance(&row.module_id, &row.instance_id, place, &mut self.findings);
        self.observed.add_flags(row.flags);
        self.graph.add_invocation(&row, place);
        true
    }

    fn call_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self.reader.row::<Call<'_>>(text, place, &mut self.findings) else {
            return false;
        };
        invocations::check_call(&row, place, &mut self.findings);
        self.known
            .check_node(("node", &row.node), Some(row.stage), place, &mut self.findings);
        self.known
            .check_module(("module_id", &row.module_id), place, &mut self.findings);
        if let Some(peer) = &row.peer_module {
            self.known
                .check_module(("peer_module", peer), place, &mut self.findings);
        }
        self.known
            .check_instance(&row.module_id, &row.instance_id, place, &mut self.findings);
        self.observed.add_flags(row.flags);
        self.drivers.add(&row);
        self.graph.add_call(&row, place);
        true
    }

    fn host_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self.reader.row::<HostMetric<'_>>(text, place, &mut self.findings) else {
            return false;
        };
        metrics::check_host(&row, &self.known, place, &mut self.findings);
        true
    }

    fn link_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self.reader.row::<LinkMetric<'_>>(text, place, &mut self.findings) else {
            return false;
        };
        metrics::check_link(&row, &self.known, place, &mut self.findings);
        true
    }

    fn stat_line(&mut self, text: &str, place: Place) -> bool {
        let Some(row) = self.reader.row::<SystemStat<'_>>(text, place, &mut self.findings) else {
            return false;
        };
        metrics::check_stat(&row, &self.known, place, &mut self.findings);
        true
    }
}

fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
