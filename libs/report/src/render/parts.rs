//! [`run_parts`]: all parts of a run within its number of bytes.

use page::document::Section;
use page::html::{Html, element};

use super::budget::{Budget, fitted};
use super::calls::{calls, links};
use super::checks::{lint, notes, validation};
use super::hosts::hosts;
use super::latency::{latency, reach};
use super::modules::{endpoints, modules, nodes};
use super::over_time::over_time;
use super::summary::summary;
use super::traces::traces;
use super::view::View;
use crate::pack::pack;

/// A part of a run.
struct Part {
    id: &'static str,
    title: &'static str,
    /// Its share of the bytes.
    weight: usize,
    /// Maximum number of rows of its tables.
    rows: usize,
    build: fn(&View, usize) -> Html,
}

const fn part(
    id: &'static str,
    title: &'static str,
    size: (usize, usize),
    build: fn(&View, usize) -> Html,
) -> Part {
    let (weight, rows) = size;
    Part {
        id,
        title,
        weight,
        rows,
        build,
    }
}

/// In the order of the page. A weight is about the size of the part of a large run, in thousands of bytes.
const PARTS: [Part; 13] = [
    part("summary", "Summary", (10, 40), summary),
    part("over-time", "Over time", (60, 120), over_time),
    part("latency", "Latency", (55, 120), latency),
    part("modules", "Modules", (50, 40), modules),
    part("endpoints", "Endpoints", (40, 60), endpoints),
    part("nodes", "Nodes", (20, 40), nodes),
    part("calls", "Calls", (75, 60), calls),
    part("links", "Links", (15, 40), links),
    part("hosts", "Hosts", (35, 40), hosts),
    part("traces", "Traces", (60, 0), |_, _| Html::new()),
    part("validation", "Validation", (10, 20), validation),
    part("lint", "Lint", (10, 40), lint),
    part("notes", "What is missing", (10, 40), notes),
];
const TRACES: &str = "traces";
const LATENCY: &str = "latency";

/// Part of the bytes, of a hundred, that the packed timeline has at most.
const PACK_PERCENT: usize = 35;
/// Bytes for the sentence about what the window recomputes.
const REACH_BYTES: usize = 500;
/// Bytes of the elements around a part.
const SECTION_BYTES: usize = 250;
/// Bytes of the element around the packed timeline.
const DATA_BYTES: usize = 150;

/// The parts of a run, and their size.
#[derive(Debug, Clone, Default)]
pub struct Rendering {
    pub sections: Vec<Section>,
    /// Id and bytes of the packed timeline.
    pub data: Option<(String, Vec<u8>)>,
    /// Maximum size of all of it in the page.
    pub bytes: usize,
}

/// All parts in at most `bytes` bytes.
pub fn run_parts(view: &View, bytes: usize, is_single: bool) -> Rendering {
    let bytes = bytes.saturating_sub(around(view, is_single));
    let pack_max = bytes / 100 * PACK_PERCENT / 4 * 3;
    let stats = &view.run.stats;
    let packed = pack(
        &view.run.timeline,
        stats.time_ns,
        |key| view.row_of(key),
        pack_max,
    );
    let encoded = packed.as_ref().map_or(0, |packed| encoded_len(&packed.bytes));
    let weights = PARTS.iter().map(|part| part.weight).sum();
    let mut budget = Budget::new(bytes.saturating_sub(encoded), weights);
    let mut sections = Vec::new();
    for part in &PARTS {
        let share = budget.share(part.weight);
        let body = match part.id {
            TRACES => traces(view, share),
            _ => fitted(share, part.rows, |rows| (part.build)(view, rows)),
        };
        budget.spend(body.as_str().len());
        sections.push(Section::new(&view.id(part.id), part.title, body));
    }
    let latency = PARTS
        .iter()
        .position(|part| part.id == LATENCY)
        .map(|index| &mut sections[index]);
    if let Some(section) = latency {
        let sentence = element("p").class("note").child(reach(view, packed.as_ref()));
        section.body.push(sentence);
    }
    let bodies = sections.iter().map(|section| section.body.as_str().len());
    Rendering {
        bytes: bodies.sum::<usize>() + encoded + around(view, is_single),
        sections,
        data: packed.map(|packed| (view.id("timeline"), packed.bytes)),
    }
}

/// Base64 makes four bytes of three.
fn encoded_len(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

/// Maximum bytes around the parts of a run: headings, links to them if there are several runs, a sentence, an element for the data.
fn around(view: &View, is_single: bool) -> usize {
    let links = PARTS
        .iter()
        .map(|part| link(&view.id(part.id), part.title).as_str().len());
    let links = if is_single { 0 } else { links.sum::<usize>() + 200 };
    PARTS.len() * SECTION_BYTES + REACH_BYTES + links + DATA_BYTES
}

fn link(id: &str, title: &str) -> Html {
    let link = element("a").attr("href", format!("#{id}")).child(title);
    element("li").child(link).build()
}

impl Rendering {
    /// The parts below one heading.
    pub fn grouped(&self, title: &str) -> Html {
        let links = self
            .sections
            .iter()
            .map(|section| link(&section.id, &section.title));
        let mut html = element("nav")
            .attr("aria-label", format!("Parts of {title}"))
            .class("parts")
            .child(element("ul").children(links))
            .build();
        for section in &self.sections {
            // Without a name a section is no landmark. The runs have the same parts, and landmarks need different names.
            html.push(
                element("section")
                    .attr("id", &section.id)
                    .child(element("h3").child(&section.title))
                    .child(section.body.clone()),
            );
        }
        html
    }
}
