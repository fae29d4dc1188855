//! [`Packets`]: writes the file of a trace. Its packets have tracks, slices and counters. Each name is written once and then
//! referred to by number.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use foldhash::HashMap;
use prost::Message as _;
use prost::encoding::{WireType, encode_key};

use super::wire::{
    CLOCK_BOOTTIME, CLOCK_REALTIME, Clock, ClockSnapshot, CounterDescriptor, DebugAnnotation, InternedData,
    Name, ORDERING_EXPLICIT, ProcessDescriptor, SEQ_INCREMENTAL_STATE_CLEARED, SEQ_NEEDS_INCREMENTAL_STATE,
    TRACE_PACKET, TYPE_COUNTER, TYPE_SLICE_BEGIN, TYPE_SLICE_END, TracePacket, TrackDescriptor, TrackEvent,
};

/// Number of bytes of one write to the file.
const WRITE_BYTES: usize = 256 << 10;
/// Maximum number of different names of slices. There must be one, because each row can have another path.
const NAMES_MAX: usize = 1 << 18;
/// The name of all slices beyond the maximum.
const OTHER: &str = "(further names)";
/// The id of the packet sequence. All packets have the same one, so that they share interned names.
const SEQUENCE: u32 = 1;

/// The kind of a slice. Its number is that of the interned category in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Service = 1,
    Queue = 2,
    Call = 3,
}

const CATEGORIES: [(Category, &str); 3] = [
    (Category::Service, "service"),
    (Category::Queue, "queue"),
    (Category::Call, "call"),
];

/// A detail of a slice. Its number is that of the interned name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    TraceId = 1,
    SpanId = 2,
    Status = 3,
    ErrorType = 4,
    BytesIn = 5,
    BytesOut = 6,
    CpuNs = 7,
    QueueNs = 8,
}

const DETAILS: [(Detail, &str); 8] = [
    (Detail::TraceId, "trace_id"),
    (Detail::SpanId, "span_id"),
    (Detail::Status, "status"),
    (Detail::ErrorType, "error_type"),
    (Detail::BytesIn, "bytes_in"),
    (Detail::BytesOut, "bytes_out"),
    (Detail::CpuNs, "cpu_time_ns"),
    (Detail::QueueNs, "queue_time_ns"),
];

/// The known details of one slice.
#[derive(Debug, Default)]
pub struct Details(Vec<DebugAnnotation>);

impl Details {
    pub fn text(&mut self, detail: Detail, value: impl Into<String>) {
        self.0.push(DebugAnnotation {
            name_iid: Some(detail as u64),
            int_value: None,
            string_value: Some(value.into()),
        });
    }

    pub fn number(&mut self, detail: Detail, value: Option<impl Into<i64>>) {
        if let Some(value) = value {
            self.0.push(DebugAnnotation {
                name_iid: Some(detail as u64),
                int_value: Some(value.into()),
                string_value: None,
            });
        }
    }
}

/// A slice: something with a start and an end. Slices of one track are nested or do not overlap.
pub struct Slice<'a> {
    pub track: u64,
    pub start_ns: i64,
    pub name: &'a str,
    pub category: Category,
    pub details: Details,
    /// Slices with the same flow are connected by an arrow, in the order of time.
    pub flows: Vec<u64>,
}

/// A trace file in progress.
pub struct Packets {
    path: PathBuf,
    file: BufWriter<File>,
    names: HashMap<String, u64>,
    buffer: Vec<u8>,
    tracks: u64,
    /// Number of timestamps before 1970. They are written as 1970.
    pub negative: u64,
}

impl Packets {
    /// `first_ns` is any time within the trace. At this time, the file states how its clocks relate to each other.
    pub fn create(path: &Path, first_ns: i64) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut packets = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(WRITE_BYTES, file),
            names: HashMap::default(),
            buffer: Vec::new(),
            tracks: 0,
            negative: 0,
        };
        let timestamp = Some(packets.time(first_ns));
        let clock = |id| Clock {
            clock_id: Some(id),
            timestamp,
        };
        packets.write(TracePacket {
            timestamp,
            clock_snapshot: Some(ClockSnapshot {
                clocks: [CLOCK_BOOTTIME, CLOCK_REALTIME].map(clock).to_vec(),
            }),
            ..TracePacket::default()
        })?;
        let name = |iid: u64, name: &str| Name {
            iid: Some(iid),
            name: Some(name.to_owned()),
        };
        packets.write(TracePacket {
            sequence_flags: Some(SEQ_INCREMENTAL_STATE_CLEARED),
            interned_data: Some(InternedData {
                event_categories: CATEGORIES
                    .iter()
                    .map(|(id, text)| name(*id as u64, text))
                    .collect(),
                event_names: Vec::new(),
                debug_annotation_names: DETAILS.iter().map(|(id, text)| name(*id as u64, text)).collect(),
            }),
            ..TracePacket::default()
        })?;
        Ok(packets)
    }

    /// Adds a group of tracks, which Perfetto shows as a process.
    pub fn process(&mut self, name: &str) -> anyhow::Result<u64> {
        let uuid = self.next_track();
        self.descriptor(TrackDescriptor {
            uuid: Some(uuid),
            process: Some(ProcessDescriptor {
                pid: i32::try_from(uuid).ok(),
                process_name: Some(name.to_owned()),
            }),
            child_ordering: Some(ORDERING_EXPLICIT),
            ..TrackDescriptor::default()
        })?;
        Ok(uuid)
    }

    /// Adds a track or a group of tracks. `rank` is its position among its siblings.
    pub fn track(&mut self, parent: u64, name: String, rank: u32) -> anyhow::Result<u64> {
        let uuid = self.next_track();
        self.descriptor(TrackDescriptor {
            uuid: Some(uuid),
            name: Some(name),
            parent_uuid: Some(parent),
            child_ordering: Some(ORDERING_EXPLICIT),
            sibling_order_rank: i32::try_from(rank).ok(),
            ..TrackDescriptor::default()
        })?;
        Ok(uuid)
    }

    /// Adds a track for the values of a counter.
    pub fn counter_track(&mut self, parent: u64, name: String, unit: Option<&str>) -> anyhow::Result<u64> {
        let uuid = self.next_track();
        self.descriptor(TrackDescriptor {
            uuid: Some(uuid),
            name: Some(name),
            parent_uuid: Some(parent),
            counter: Some(CounterDescriptor {
                unit_name: unit.map(str::to_owned),
            }),
            // Counters come before the tracks with slices, whose ranks begin at 0.
            sibling_order_rank: Some(-1),
            ..TrackDescriptor::default()
        })?;
        Ok(uuid)
    }

    /// Begins a slice. The slices inside of it, and then its end, must be written before the next slice of the same track.
    pub fn begin(&mut self, slice: Slice<'_>) -> anyhow::Result<()> {
        let (name_iid, interned) = self.name(slice.name);
        let timestamp = Some(self.time(slice.start_ns));
        self.write(TracePacket {
            timestamp,
            interned_data: interned,
            track_event: Some(TrackEvent {
                r#type: Some(TYPE_SLICE_BEGIN),
                name_iid: Some(name_iid),
                track_uuid: Some(slice.track),
                category_iids: vec![slice.category as u64],
                debug_annotations: slice.details.0,
                flow_ids: slice.flows,
                ..TrackEvent::default()
            }),
            ..TracePacket::default()
        })
    }

    /// Ends the innermost slice of a track.
    pub fn end(&mut self, track: u64, end_ns: i64) -> anyhow::Result<()> {
        let timestamp = Some(self.time(end_ns));
        self.write(TracePacket {
            timestamp,
            track_event: Some(TrackEvent {
                r#type: Some(TYPE_SLICE_END),
                track_uuid: Some(track),
                ..TrackEvent::default()
            }),
            ..TracePacket::default()
        })
    }

    /// Writes a value of a counter.
    pub fn value(&mut self, track: u64, at_ns: i64, value: f64) -> anyhow::Result<()> {
        let timestamp = Some(self.time(at_ns));
        self.write(TracePacket {
            timestamp,
            track_event: Some(TrackEvent {
                r#type: Some(TYPE_COUNTER),
                track_uuid: Some(track),
                double_counter_value: Some(value),
                ..TrackEvent::default()
            }),
            ..TracePacket::default()
        })
    }

    /// Makes the file durable.
    pub fn finish(self) -> anyhow::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn next_track(&mut self) -> u64 {
        self.tracks += 1;
        self.tracks
    }

    fn descriptor(&mut self, track: TrackDescriptor) -> anyhow::Result<()> {
        self.write(TracePacket {
            track_descriptor: Some(track),
            ..TracePacket::default()
        })
    }

    /// The number of a name, and its declaration if the name is new.
    fn name(&mut self, text: &str) -> (u64, Option<InternedData>) {
        if let Some(&iid) = self.names.get(text) {
            return (iid, None);
        }
        if self.names.len() >= NAMES_MAX && text != OTHER {
            return self.name(OTHER);
        }
        let iid = self.names.len() as u64 + 1;
        self.names.insert(text.to_owned(), iid);
        let name = Name {
            iid: Some(iid),
            name: Some(text.to_owned()),
        };
        let interned = InternedData {
            event_names: vec![name],
            ..InternedData::default()
        };
        (iid, Some(interned))
    }

    fn time(&mut self, ns: i64) -> u64 {
        u64::try_from(ns).unwrap_or_else(|_| {
            self.negative += 1;
            0
        })
    }

    fn write(&mut self, packet: TracePacket) -> anyhow::Result<()> {
        let packet = TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: packet.sequence_flags.or(Some(SEQ_NEEDS_INCREMENTAL_STATE)),
            ..packet
        };
        self.buffer.clear();
        encode_key(TRACE_PACKET, WireType::LengthDelimited, &mut self.buffer);
        packet.encode_length_delimited(&mut self.buffer)?;
        let written = self.file.write_all(&self.buffer);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
