//! [`Session`]: one validation, which reads the files in the order in which the rules need them.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::folder::{Ending, Folder, Line};
use super::graph::{Graph, References};
use super::known::Known;
use super::placement::Placement;
use super::report::{Findings, Place, Report};
use super::rows::{Reader, add_unreadable, utf8};
use super::rules::Broken;
use super::run_meta::Tally;
use super::{Options, ValidateError, inventory, invocations, metrics, run_meta};
use crate::cctf::{
    Call, Counts, File, HostMetric, Invocation, Link, LinkMetric, Module, Node, Part, PlacementEvent,
    RunMeta, Shape, SpanId, SystemStat, TraceId,
};

/// One validation under way.
pub(super) struct Session<'f> {
    folder: &'f Folder,
    options: Options,
    findings: Findings,
    reader: Reader,
    known: Known,
    placement: Placement,
    graph: Graph,
    tally: Tally,
    /// The later part of a run that the folder says it is.
    part: Option<Part>,
}

/// What a reference needs of a row in another part.
#[derive(Deserialize)]
struct Identity {
    trace_id: TraceId,
    span_id: SpanId,
}

impl<'f> Session<'f> {
    pub fn new(folder: &'f Folder, options: Options) -> Self {
        Self {
            folder,
            options,
            findings: Findings::new(options.findings_kept_per_rule),
            reader: Reader::default(),
            known: Known::default(),
            placement: Placement::default(),
            graph: Graph::default(),
            tally: Tally::default(),
            part: None,
        }
    }

    /// Reads what others refer to before what refers to it, and tells what was found.
    pub fn run(mut self) -> Result<Report, ValidateError> {
        let counts = self.run_meta()?;
        self.nodes()?;
        self.modules()?;
        self.links()?;
        self.lines(File::PlacementEvents, Self::placement_line)?;
        let placement = std::mem::take(&mut self.placement);
        // A later part goes on with instances that started in an earlier one.
        if !self.folder.is_later_part(self.part.as_ref()) {
            placement.check_stops(&mut self.findings);
            self.known.started = Some(placement.started());
        }
        self.lines(File::Invocations, Self::invocation_line)?;
        self.lines(File::Calls, Self::call_line)?;
        self.lines(File::HostMetrics, Self::host_line)?;
        self.lines(File::LinkMetrics, Self::link_line)?;
        self.lines(File::SystemStats, Self::stat_line)?;
        self.references()?;
        if let Some((counts, place)) = counts.filter(|_| !self.findings.open) {
            self.tally.check(&counts, place, &mut self.findings);
        }
        Ok(self.findings.into_report(self.tally.lines))
    }

    /// Tells whether the run is open, on which the severity of the other findings depends.
    fn run_meta(&mut self) -> Result<Option<(Counts, Place)>, ValidateError> {
        let place = Place {
            file: File::RunMeta,
            line: None,
        };
        let Some(bytes) = self.whole(File::RunMeta)? else {
            return Ok(None);
        };
        let Some(text) = utf8(&bytes, place, &mut self.findings) else {
            return Ok(None);
        };
        let text = text.trim_ascii();
        // Whether the run is open must be known before the first finding is counted.
        self.findings.open =
            serde_json::from_str::<RunMeta<'_>>(text).is_ok_and(|row| row.ended_ts.is_none());
        let Some(row) = self.reader.row::<RunMeta<'_>>(text, place, &mut self.findings) else {
            return Ok(None);
        };
        run_meta::check(&row, place, &mut self.findings);
        let later = row.part.filter(|&number| number > 1);
        self.part = later.map(|number| Part::later(&row.run_id, number));
        self.tally.lines.insert(File::RunMeta, 1);
        Ok(Some((row.counts, place)))
    }

    fn nodes(&mut self) -> Result<(), ValidateError> {
        let mut nodes = HashMap::new();
        let read = self.each_item(File::Nodes, |session, text, place| {
            if let Some(row) = session.reader.row::<Node<'_>>(text, place, &mut session.findings) {
                inventory::check_node(&row, &mut nodes, place, &mut session.findings);
            }
        })?;
        self.known.nodes = read.then_some(nodes);
        Ok(())
    }

    /// Twice over the items: a module may name one that is listed after it.
    fn modules(&mut self) -> Result<(), ValidateError> {
        let mut listed = HashSet::new();
        let mut references = Vec::new();
        let read = self.each_item(File::ModuleInventory, |session, text, place| {
            if let Some(row) = session
                .reader
                .row::<Module<'_>>(text, place, &mut session.findings)
            {
                inventory::check_module(&row, &mut listed, place, &mut session.findings);
                references.push((text.to_owned(), place));
            }
        })?;
        self.known.modules = read.then(|| listed.into_iter().map(|(_, module)| module).collect());
        for (text, place) in &references {
            if let Ok(row) = serde_json::from_str::<Module<'_>>(text) {
                inventory::check_module_references(&row, &self.known, *place, &mut self.findings);
            }
        }
        Ok(())
    }

    fn links(&mut self) -> Result<(), ValidateError> {
        let mut listed = HashSet::new();
        self.each_item(File::Links, |session, text, place| {
            if let Some(row) = session.reader.row::<Link<'_>>(text, place, &mut session.findings) {
                inventory::check_link(&row, &session.known, &mut listed, place, &mut session.findings);
            }
        })?;
        Ok(())
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
        self.tally.add_flags(row.flags);
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
        self.tally.add_flags(row.flags);
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

    /// Resolves what can be resolved in the run's other parts, and reports the rest.
    fn references(&mut self) -> Result<(), ValidateError> {
        let mut unresolved = std::mem::take(&mut self.graph).check(&mut self.findings);
        for (file, references) in [
            (File::Invocations, &mut unresolved.invocations),
            (File::Calls, &mut unresolved.calls),
        ] {
            if !references.is_empty() {
                self.resolve_in_other_parts(file, references)?;
                let may_be_elsewhere = self.is_part_gone() || self.is_part_open()?;
                references.report(may_be_elsewhere, &mut self.findings);
            }
        }
        Ok(())
    }

    /// Whether a part before this one has been deleted: what refers to it can't be told from what refers to nothing.
    fn is_part_gone(&self) -> bool {
        !self.folder.has_all_before(self.part.as_ref())
    }

    /// Whether the run goes on in another part, in which what is missing may still come.
    fn is_part_open(&self) -> Result<bool, ValidateError> {
        for part in self.folder.other_parts(self.part.as_ref()) {
            let bytes = part.read_whole(File::RunMeta, self.options.line_bytes_max)?;
            let bytes = bytes.unwrap_or_default();
            let meta = serde_json::from_slice::<RunMeta<'_>>(&bytes);
            if meta.is_ok_and(|meta| meta.part.is_some() && meta.ended_ts.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn resolve_in_other_parts(&self, file: File, references: &mut References) -> Result<(), ValidateError> {
        for part in self.folder.other_parts(self.part.as_ref()) {
            part.each_line(file, self.options.line_bytes_max, |line| {
                if let Ok(row) = serde_json::from_slice::<Identity>(line.bytes) {
                    references.resolve(row.trace_id, row.span_id);
                }
            })?;
        }
        Ok(())
    }

    /// Hands each line of a file to `check`, which tells whether it was a row.
    fn lines(&mut self, file: File, check: fn(&mut Self, &str, Place) -> bool) -> Result<(), ValidateError> {
        let folder = self.folder;
        let mut lines = 0;
        let found = folder.each_line(file, self.options.line_bytes_max, |line| {
            lines += u64::from(self.line(file, &line, check));
        })?;
        if found {
            self.tally.lines.insert(file, lines);
        } else {
            self.add_missing(file);
        }
        Ok(())
    }

    /// Whether the line counts: an unfinished one does only if it holds a row after all.
    fn line(&mut self, file: File, line: &Line<'_>, check: fn(&mut Self, &str, Place) -> bool) -> bool {
        let place = Place {
            file,
            line: Some(line.number),
        };
        match line.ending {
            Ending::Newline => {
                if let Some(text) = utf8(line.bytes, place, &mut self.findings) {
                    check(self, text, place);
                }
                true
            }
            Ending::EndOfFile => {
                self.findings.add(Broken::LineNotWhole, place, || {
                    "the last line has no newline".into()
                });
                let whole = std::str::from_utf8(line.bytes)
                    .ok()
                    .filter(|text| is_object(text));
                whole.is_some_and(|text| check(self, text, place))
            }
            Ending::Cut => {
                self.add_too_long(place, self.options.line_bytes_max);
                true
            }
        }
    }

    /// Hands each object of an array file to `check`; false when there is no array to read.
    fn each_item(
        &mut self,
        file: File,
        mut check: impl FnMut(&mut Self, &str, Place),
    ) -> Result<bool, ValidateError> {
        let Some(bytes) = self.whole(file)? else {
            return Ok(false);
        };
        let place = Place { file, line: None };
        let Some(text) = utf8(&bytes, place, &mut self.findings) else {
            return Ok(false);
        };
        let items = match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => items,
            // The runbook's inventory is the one object of one module.
            Err(_) if file == File::ModuleInventory && is_object(text) => {
                serde_json::from_str::<&RawValue>(text).into_iter().collect()
            }
            Err(error) => {
                add_unreadable(text, &error, place, &mut self.findings);
                return Ok(false);
            }
        };
        let (mut line, mut counted_to) = (1, 0);
        for item in &items {
            // The items borrow from the text, so that their address tells where they stand.
            let starts_at = item.get().as_ptr() as usize - text.as_ptr() as usize;
            line += memchr::memchr_iter(b'\n', &bytes[counted_to..starts_at]).count() as u64;
            counted_to = starts_at;
            check(
                self,
                item.get(),
                Place {
                    file,
                    line: Some(line),
                },
            );
        }
        self.tally.lines.insert(file, items.len() as u64);
        Ok(true)
    }

    /// The bytes of a file that is replaced whole; `None` once it is reported why there are none.
    fn whole(&mut self, file: File) -> Result<Option<Vec<u8>>, ValidateError> {
        debug_assert!(file.shape() != Shape::Lines);
        let limit = self.options.whole_bytes_max;
        let bytes = self.folder.read_whole(file, limit)?;
        match &bytes {
            None => self.add_missing(file),
            Some(bytes) if bytes.len() > limit => {
                self.add_too_long(Place { file, line: None }, limit);
                return Ok(None);
            }
            Some(_) => {}
        }
        Ok(bytes)
    }

    fn add_missing(&mut self, file: File) {
        self.findings
            .add(Broken::FileMissing, Place { file, line: None }, || {
                format!("{} is not there", file.name())
            });
    }

    fn add_too_long(&mut self, place: Place, limit: usize) {
        self.findings
            .add(Broken::TooLong, place, || format!("longer than {limit} bytes"));
    }
}

fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
