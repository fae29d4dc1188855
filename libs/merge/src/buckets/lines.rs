//! Lines of the files of a bucket that the rest of the merge (`--rests`) reads. `docs/merge.md` describes them.

use std::borrow::Cow;

use aggregate::modules::{EndpointStats, Mean};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::registry::{ModuleName, RowPlace};
use crate::requests::clocks::Bounds;

/// Names of nodes and instances.
pub const NAMES: &str = "names.jsonl";
/// Statistics of modules, endpoints and calls; clock bounds.
pub const STATISTICS: &str = "statistics.jsonl";
/// Invocations of endpoints that the bucket does not list.
pub const UNLISTED: &str = "unlisted.jsonl";
/// Network times of each second and pair of nodes.
pub const LINK_SECONDS: &str = "link_seconds.jsonl";
/// Samples of the calls between each pair of nodes.
pub const LINK_SAMPLES: &str = "link_samples.jsonl";
/// All of them.
pub const FILES: [&str; 5] = [NAMES, STATISTICS, UNLISTED, LINK_SECONDS, LINK_SAMPLES];

/// Maximum number of network times in a line.
pub const NET_TIMES_MAX: usize = 1024;

/// A module by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfModule<'a> {
    pub module: Cow<'a, str>,
    pub app: Option<Cow<'a, str>>,
}

impl<'a> OfModule<'a> {
    pub fn new(name: &'a ModuleName) -> Self {
        Self {
            module: Cow::Borrowed(&name.module_id),
            app: name.app_id.as_deref().map(Cow::Borrowed),
        }
    }

    pub fn name(&self) -> ModuleName {
        ModuleName {
            module_id: self.module.to_string(),
            app_id: self.app.as_deref().map(str::to_owned),
        }
    }
}

/// A line of [`NAMES`]. `first` is the first row of the bucket with this name; null if an inventory of the folders has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameLine<'a> {
    Node {
        node: Cow<'a, str>,
        /// The stages in its rows.
        stages: Vec<Cow<'a, str>>,
        first: Option<RowPlace>,
    },
    Instance {
        of: OfModule<'a>,
        instance: Cow<'a, str>,
        node: Cow<'a, str>,
        first: Option<RowPlace>,
        /// For each folder with rows of the instance: the folder's number, and the end of the last row in nanoseconds.
        last_ns: Vec<(u32, i64)>,
    },
}

/// A line of [`STATISTICS`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatisticsLine<'a> {
    Module {
        of: OfModule<'a>,
        invocations: u64,
        is_called: bool,
        makes_calls: bool,
        /// CPU time of its invocations, nanoseconds.
        cpu_ns: Mean,
    },
    /// Calls that another module answered.
    Calls {
        from: OfModule<'a>,
        to: OfModule<'a>,
        calls: u64,
    },
    /// Calls whose own rows name the callee.
    RecordedCalls {
        from: OfModule<'a>,
        to: Cow<'a, str>,
        calls: u64,
    },
    /// Calls without a known callee.
    Unanswered {
        from: OfModule<'a>,
        peer: Cow<'a, str>,
        calls: u64,
    },
    /// Body bytes of calls, both ways.
    CallBytes {
        from: OfModule<'a>,
        to: OfModule<'a>,
        bytes: Mean,
    },
    /// The first module by name that answered calls to a peer.
    Behind {
        peer: Cow<'a, str>,
        module: OfModule<'a>,
    },
    /// The first module by name that calls to a peer name in their own rows.
    RecordedBehind {
        peer: Cow<'a, str>,
        module: Cow<'a, str>,
    },
    /// A listed endpoint; without `listed`, all others of the module.
    Endpoint {
        of: OfModule<'a>,
        listed: Option<ListedEndpoint<'a>>,
        statistics: MaybeOwned<'a>,
    },
    /// Bounds of a callee's clock minus a caller's.
    Clock {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        bounds: Bounds,
    },
}

/// Statistics, borrowed when they are written.
#[derive(Debug)]
pub enum MaybeOwned<'a> {
    Borrowed(&'a EndpointStats),
    Owned(Box<EndpointStats>),
}

impl Serialize for MaybeOwned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Borrowed(statistics) => statistics.serialize(serializer),
            Self::Owned(statistics) => statistics.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MaybeOwned<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self::Owned)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ListedEndpoint<'a> {
    /// Method and route.
    pub endpoint: Cow<'a, str>,
    /// Trace of its first invocation.
    pub trace: Cow<'a, str>,
    /// Index of that invocation in the trace.
    pub row: u32,
}

/// A line of [`LINK_SECONDS`]: calls of one second from one node to another. Further calls of the same second are in the next lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct SecondLine<'a> {
    pub second: u64,
    pub from: Cow<'a, str>,
    pub to: Cow<'a, str>,
    /// Body bytes; null if no call reported any.
    pub sent: Option<u64>,
    pub received: Option<u64>,
    /// At most [`NET_TIMES_MAX`] network times, ascending, nanoseconds.
    pub net_ns: Vec<i64>,
}

/// A line of [`LINK_SAMPLES`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleLine<'a> {
    Sample {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        /// The hash of the trace, and the id of the span: samples with the least values are kept.
        order: (u64, u64),
        net_ns: i64,
        /// Body bytes, both ways.
        bytes: Option<u64>,
    },
    /// Calls that are not in the sample.
    Further {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        calls: u64,
        least_net_ns: i64,
    },
}
