//! [`Part`]: the parts of a response time. In every chart, a part has the same colour and pattern.

use crate::html::{Html, element};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Queue,
    /// Service time that is not CPU time: the process waited for others, for disks or for locks.
    Service,
    Cpu,
    Network,
    /// Time within a callee.
    Callee,
    Other,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Queue,
        Self::Service,
        Self::Cpu,
        Self::Network,
        Self::Callee,
        Self::Other,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Service => "service",
            Self::Cpu => "CPU",
            Self::Network => "network",
            Self::Callee => "callee",
            Self::Other => "other",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Service => "service",
            Self::Cpu => "cpu",
            Self::Network => "network",
            Self::Callee => "callee",
            Self::Other => "other",
        }
    }

    /// The fill of a rectangle: a pattern that [`patterns`] defined with the same `id`.
    pub(super) fn fill(self, id: &str) -> String {
        format!("url(#{id}-{})", self.class())
    }

    /// Lines that are drawn over the colour, in a tile of 6 by 6 pixels. Empty if the fill is plain.
    const fn hatch(self) -> &'static str {
        match self {
            Self::Queue => "M-1 1L1 -1M0 6L6 0M5 7L7 5",
            Self::Service | Self::Cpu => "",
            Self::Network => "M1 1h1v1h-1zM4 4h1v1h-1z",
            Self::Callee => "M0 3H6",
            Self::Other => "M-1 5L1 7M0 0L6 6M5 -1L7 1",
        }
    }
}

/// An SVG without size that defines the fills of some parts.
pub(super) fn patterns(id: &str, parts: &[Part]) -> Html {
    let patterns = parts.iter().map(|part| {
        let hatch = (!part.hatch().is_empty()).then(|| element("path").attr("d", part.hatch()));
        element("pattern")
            .attr("id", format!("{id}-{}", part.class()))
            .class(part.class())
            .attr("width", "6")
            .attr("height", "6")
            .attr("patternUnits", "userSpaceOnUse")
            .child(element("rect").attr("width", "6").attr("height", "6"))
            .child(hatch)
    });
    element("svg")
        .class("patterns")
        .attr("width", "0")
        .attr("height", "0")
        .attr("aria-hidden", "true")
        .child(element("defs").children(patterns))
        .build()
}

/// The names of some parts with samples of their fills.
pub(super) fn legend(id: &str, parts: &[Part]) -> Html {
    let names = parts.iter().map(|part| {
        let sample = element("rect")
            .attr("width", "14")
            .attr("height", "10")
            .attr("rx", "2")
            .attr("fill", part.fill(id));
        let swatch = element("svg")
            .attr("width", "14")
            .attr("height", "10")
            .attr("aria-hidden", "true")
            .child(sample);
        element("li").child(swatch).child(part.name())
    });
    element("ul").class("legend").children(names).build()
}

/// All parts that are used, in the order of the enum.
pub(super) fn used(parts: impl Iterator<Item = Part>) -> Vec<Part> {
    let found: Vec<Part> = parts.collect();
    Part::ALL
        .into_iter()
        .filter(|part| found.contains(part))
        .collect()
}
