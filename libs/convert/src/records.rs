//! [`Records`]: takes the records of all files, one after the other, and feeds them to the normalizer's pipeline.

use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use cctf_normalizer::journal::Signal;
use cctf_normalizer::offline::{CheckedRequest, Offline};

use crate::alibaba::Traces;
use crate::data_sets::DataSets;
use crate::fields::Fields;
use crate::job::{Job, Progress};
use crate::json::Record;
use crate::keys::Keys;
use crate::otlp::{self, Shape};
use crate::place::{Place, Position};
use crate::spans::Gaps;
use crate::tables::Table;
use crate::tally::{Format, Tally};
use crate::{jaeger, zipkin};

/// The records of all files.
pub struct Records<'j> {
    offline: Offline,
    pub job: Job<'j>,
    pub tally: Tally,
    /// The only format that is taken, if the user has set one.
    format: Option<Format>,
    /// The current file.
    pub file: String,
    /// Offset of the message that contains the current records, if the file consists of messages with their lengths.
    pub message_at: Option<u64>,
    /// Signal of the last message.
    signal: Signal,
    buffer: Vec<u8>,
    /// Spans of Zipkin that become one request, and where the first of them is.
    zipkin: zipkin::Batch,
    zipkin_begin: Option<Position>,
    data_sets: DataSets,
}

impl<'j> Records<'j> {
    /// Temporary files are in `scratch`.
    pub fn new(offline: Offline, job: Job<'j>, format: Option<Format>, scratch: &Path) -> Self {
        Self {
            offline,
            job,
            tally: Tally::default(),
            format,
            file: String::new(),
            message_at: None,
            signal: Signal::Traces,
            buffer: Vec::new(),
            zipkin: zipkin::Batch::default(),
            zipkin_begin: None,
            data_sets: DataSets::new(scratch),
        }
    }

    fn place(&self, position: Position) -> Place {
        Place {
            file: self.file.clone(),
            message_at: self.message_at,
            position,
        }
    }

    /// Counts something that is left out.
    pub fn damage(&mut self, position: Position, reason: String) {
        let place = self.place(position);
        self.tally.damages.add(place, reason);
    }

    /// Takes a record of JSON.
    ///
    /// # Errors
    /// If a file cannot be written, or the user has interrupted.
    pub fn take_json(&mut self, record: &Record, json: &[u8]) -> anyhow::Result<()> {
        match format_of(record) {
            None => {
                self.damage(
                    record.begin,
                    "this record has no key of OTLP, Jaeger or Zipkin".to_owned(),
                );
                self.show_progress()
            }
            Some(format) if self.format.is_some_and(|wanted| wanted != format) => {
                let name = format.name();
                self.damage(record.begin, format!("this is {name}, which --format excludes"));
                self.show_progress()
            }
            Some(Format::Jaeger) => self.take_jaeger(record, json),
            Some(Format::Zipkin) => self.take_zipkin(record, json),
            // This is OTLP, because the data sets are tables and not JSON.
            Some(_) => self.take_otlp(record, json),
        }
    }

    fn take_jaeger(&mut self, record: &Record, json: &[u8]) -> anyhow::Result<()> {
        let trace = match jaeger::read(json) {
            Ok(trace) => trace,
            Err(error) => {
                self.damage(record.begin, format!("not a trace of Jaeger: {error}"));
                return self.show_progress();
            }
        };
        for reason in trace.damages {
            self.damage(record.begin, reason);
        }
        self.assume(&trace.gaps, record.begin);
        let request = CheckedRequest::new(Signal::Traces, trace.request);
        match request {
            Ok(request) => self.feed(request, Format::Jaeger, record.begin)?,
            Err(error) => self.damage(record.begin, format!("cannot convert the trace: {error}")),
        }
        self.show_progress()
    }

    fn take_zipkin(&mut self, record: &Record, json: &[u8]) -> anyhow::Result<()> {
        match self.zipkin.add(json) {
            Ok(gaps) => {
                self.zipkin_begin.get_or_insert(record.begin);
                self.assume(&gaps, record.begin);
            }
            Err(error) => self.damage(record.begin, format!("not a span of Zipkin: {error}")),
        }
        if self.zipkin.is_full() {
            self.feed_zipkin()?;
        }
        self.show_progress()
    }

    fn feed_zipkin(&mut self) -> anyhow::Result<()> {
        let Some(begin) = self.zipkin_begin.take() else {
            return Ok(());
        };
        match CheckedRequest::new(Signal::Traces, self.zipkin.take_request()) {
            Ok(request) => self.feed(request, Format::Zipkin, begin),
            Err(error) => {
                self.damage(
                    begin,
                    format!("cannot convert the spans that begin here: {error}"),
                );
                Ok(())
            }
        }
    }

    fn assume(&mut self, gaps: &Gaps, position: Position) {
        if *gaps == Gaps::default() {
            return;
        }
        let place = self.place(position);
        for (name, meaning, count) in gaps.counts() {
            self.tally.assume(name, meaning, count, || place.clone());
        }
    }

    fn take_otlp(&mut self, record: &Record, json: &[u8]) -> anyhow::Result<()> {
        for shape in otlp::shapes(record.keys, record.container) {
            match otlp::request_of_json(shape, json, &mut self.buffer) {
                Ok(request) => self.feed(request, Format::Otlp, record.begin)?,
                Err(reason) => self.damage(record.begin, reason),
            }
        }
        self.show_progress()
    }

    /// Takes a line that is a whole request of OTLP. Returns false if the line is something else, or is not valid. Then the
    /// caller takes the records of the line one by one.
    ///
    /// # Errors
    /// As [`Self::take_json`].
    pub fn take_line(&mut self, signal: Signal, line: &[u8], begin: Position) -> anyhow::Result<bool> {
        if self.format.is_some_and(|wanted| wanted != Format::Otlp) || !otlp::has_one_signal(line, signal) {
            return Ok(false);
        }
        match otlp::request_of_json(Shape::Request(signal), line, &mut self.buffer) {
            Ok(request) => self.feed(request, Format::Otlp, begin)?,
            Err(_) => return Ok(false),
        }
        self.show_progress()?;
        Ok(true)
    }

    /// Takes a protobuf message of OTLP.
    ///
    /// # Errors
    /// As [`Self::take_json`].
    pub fn take_message(&mut self, message: &Bytes, begin: Position) -> anyhow::Result<()> {
        if self.format.is_some_and(|wanted| wanted != Format::Otlp) {
            self.damage(begin, "this is otlp, which --format excludes".to_owned());
            return self.show_progress();
        }
        match otlp::request_of_message(message, self.signal) {
            Ok(request) => {
                self.signal = request.signal();
                self.feed(request, Format::Otlp, begin)?;
            }
            Err(reason) => self.damage(begin, reason),
        }
        self.show_progress()
    }

    fn feed(&mut self, request: CheckedRequest, format: Format, begin: Position) -> anyhow::Result<()> {
        *self.tally.records.entry(format).or_default() += match format {
            Format::Zipkin => request.admission.rows,
            _ => 1,
        };
        let (file, message_at) = (self.file.clone(), self.message_at);
        self.feed_pipeline(request, move || Place {
            file: file.clone(),
            message_at,
            position: begin,
        })
    }

    fn feed_pipeline(&mut self, request: CheckedRequest, place: impl Fn() -> Place) -> anyhow::Result<()> {
        self.tally.count(request.signal(), &request.admission, place);
        self.offline.take(request);
        match self.offline.failure() {
            Some(failure) => Err(anyhow!("{failure}")),
            None => Ok(()),
        }
    }

    /// The reason for which the user's format excludes a table.
    pub fn excludes(&self, table: &Table) -> Option<String> {
        let wanted = self.format?;
        let is_taken = match table.kind.format() {
            Some(format) => format == wanted,
            // The data sets of both years have such tables.
            None => matches!(wanted, Format::Alibaba2021 | Format::Alibaba2022),
        };
        let name = table
            .kind
            .format()
            .map_or("alibaba2021 or alibaba2022", Format::name);
        (!is_taken)
            .then(|| format!("this is a table of {name}, which --format excludes; none of its rows is read"))
    }

    /// Starts a file with the rows of a table.
    pub fn begin_table(&mut self) {
        self.data_sets.begin_file(&self.file);
    }

    /// Takes a row of a table.
    ///
    /// # Errors
    /// As [`Self::take_json`].
    pub fn take_row(&mut self, table: &Table, fields: &Fields, begin: Position) -> anyhow::Result<()> {
        match self.data_sets.take(table, fields, self.format, begin)? {
            Ok(format) => *self.tally.records.entry(format).or_default() += 1,
            Err(reason) => self.damage(begin, reason.to_owned()),
        }
        self.feed_complete(begin, false)
    }

    fn feed_complete(&mut self, begin: Position, is_end: bool) -> anyhow::Result<()> {
        while let Some(complete) = self.data_sets.next_complete(is_end) {
            match CheckedRequest::new(complete.signal, complete.request) {
                Ok(request) => {
                    let place = self.place(begin);
                    self.feed_pipeline(request, || place.clone())?;
                }
                Err(error) => self.damage(begin, format!("cannot convert the rows before this one: {error}")),
            }
        }
        Ok(())
    }

    /// Reports the progress.
    ///
    /// # Errors
    /// If the user has interrupted.
    pub fn show_progress(&mut self) -> anyhow::Result<()> {
        if self.job.stop.load(Ordering::Relaxed) {
            bail!("interrupted; nothing was written");
        }
        (self.job.on_progress)(Progress {
            phase: "convert",
            done: self.job.before + self.job.read.get(),
            total: self.job.total,
        });
        Ok(())
    }

    /// Ends a file: feeds the spans and points that wait until a request has its full size.
    ///
    /// # Errors
    /// As [`Self::take_json`].
    pub fn end_file(&mut self) -> anyhow::Result<()> {
        self.feed_zipkin()?;
        self.feed_complete(Position::default(), true)?;
        self.show_progress()
    }

    /// Ends the work: writes what waits, and returns the counts, and the traces that are yet to be rebuilt from call graphs.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(mut self) -> anyhow::Result<(Tally, Option<Traces>)> {
        let traces = self.data_sets.finish(&mut self.tally);
        self.offline.finish()?;
        Ok((self.tally, traces))
    }
}

/// The format of a record, by its keys and the array in which it is.
fn format_of(record: &Record) -> Option<Format> {
    let keys = record.keys;
    if otlp::shapes(keys, record.container).next().is_some() {
        Some(Format::Otlp)
    } else if keys.has(&[Keys::SPANS, Keys::PROCESSES]) {
        Some(Format::Jaeger)
    } else if keys.has(&[Keys::TRACE_ID, Keys::ID]) {
        Some(Format::Zipkin)
    } else {
        None
    }
}
