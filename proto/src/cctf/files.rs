//! [`File`]: the ten files of the contract, by name and shape.

use super::row::{Field, Row};
use super::*;

/// How a file holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One object a line, only ever appended to.
    Lines,
    /// One JSON array, replaced whole.
    Array,
    /// One JSON object, replaced whole.
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
            /// All files.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the folder.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How it holds its rows.
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)* }
            }

            /// The fields of its rows.
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::$variant => <$row as Row<'_>>::FIELDS,)* }
            }

            /// The file of that name, with or without its ending.
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|file| file.name() == name || file.stem() == name)
            }

            /// Its name without the ending.
            pub fn stem(self) -> &'static str {
                self.name().split_once('.').map_or(self.name(), |(stem, _)| stem)
            }
        }
    };
}

files! {
    /// Units of work.
    Invocations = "invocations.jsonl", Lines, Invocation<'_>;
    /// Calls and messages.
    Calls = "calls.jsonl", Lines, Call<'_>;
    /// CPU, memory and disks of nodes.
    HostMetrics = "host_metrics.jsonl", Lines, HostMetric<'_>;
    /// Traffic of links.
    LinkMetrics = "link_metrics.jsonl", Lines, LinkMetric<'_>;
    /// Instances starting, stopping, scaling, moving.
    PlacementEvents = "placement_events.jsonl", Lines, PlacementEvent<'_>;
    /// Gauges of services.
    SystemStats = "system_stats.jsonl", Lines, SystemStat<'_>;
    /// Inventory of nodes.
    Nodes = "nodes.json", Array, Node<'_>;
    /// Inventory of links.
    Links = "links.json", Array, Link<'_>;
    /// Inventory of modules.
    ModuleInventory = "module_inventory.json", Array, Module<'_>;
    /// The run.
    RunMeta = "run_meta.json", Object, super::RunMeta<'_>;
}

/// The runbook's names of files, which stand as links beside the folder of the files.
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
