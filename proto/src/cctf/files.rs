//! [`File`]: the ten files of the contract, by name and shape.

use super::row::{Field, Row};
use super::*;

/// Layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object per line. Writers only append.
    Lines,
    /// One JSON array. Writers replace the whole file.
    Array,
    /// One JSON object. Writers replace the whole file.
    Object,
}

impl serde::Serialize for File {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

macro_rules! files {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $shape:ident, $row:ty;)*) => {
        /// A file of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum File { $($(#[$doc])* $variant,)* }

        impl File {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)* }
            }

            /// The fields of its rows.
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::$variant => <$row as Row<'_>>::FIELDS,)* }
            }

            /// The file with this name, with or without extension.
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|file| file.name() == name || file.stem() == name)
            }

            /// The name without extension.
            pub fn stem(self) -> &'static str {
                self.name().split_once('.').map_or(self.name(), |(stem, _)| stem)
            }
        }
    };
}

files! {
    /// Requests, messages and jobs that instances processed.
    Invocations = "invocations.jsonl", Lines, Invocation<'_>;
    /// Requests and messages that were sent.
    Calls = "calls.jsonl", Lines, Call<'_>;
    /// CPU, memory and disks of nodes.
    HostMetrics = "host_metrics.jsonl", Lines, HostMetric<'_>;
    /// Traffic of links.
    LinkMetrics = "link_metrics.jsonl", Lines, LinkMetric<'_>;
    /// Starts and stops of instances, scaling and migrations of modules.
    PlacementEvents = "placement_events.jsonl", Lines, PlacementEvent<'_>;
    /// Metrics of services.
    SystemStats = "system_stats.jsonl", Lines, SystemStat<'_>;
    /// Inventory of nodes.
    Nodes = "nodes.json", Array, Node<'_>;
    /// Inventory of links.
    Links = "links.json", Array, Link<'_>;
    /// Inventory of modules.
    ModuleInventory = "module_inventory.json", Array, Module<'_>;
    /// Parameters and counts of the run.
    RunMeta = "run_meta.json", Object, super::RunMeta<'_>;
}

/// The file names of the earlier tooling (the runbook). Each is a symbolic link beside the folder `cctf`.
pub const FILE_LINKS: [(&str, File); 8] = [
    ("events.jsonl", File::Invocations),
    ("resources.jsonl", File::HostMetrics),
    ("links.jsonl", File::LinkMetrics),
    ("node_meta.json", File::Nodes),
    ("placement_events.jsonl", File::PlacementEvents),
    ("system_stats.jsonl", File::SystemStats),
    ("run_meta.json", File::RunMeta),
    ("module_inventory.json", File::ModuleInventory),
];
