//! [`run_parts`]: all parts of a run within its number of bytes.

use page::document::Section;
use page::html::{Html, element};

use super::budget::{Budget, fitted};
use super::calls::{calls, links};
use super::checks::{lint, notes, validation};
use super::hosts::hosts;
use super::latency::{latency, reach};
use super::modules::{endpoints, modules};
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
const PARTS: [Part; 12] = [
    part("summary", "Summary", (10, 40), summary),
    part("over-time", "Over time", (60, 120), over_time),
    part("latency", "Latency", (60, 120), latency),
    part("modules", "Modules", (50, 40), modules),
    part("endpoints", "Endpoints", (40, 60), endpoints),
    part("calls", "Calls", (50, 60), calls),
    part("links", "Links", (15, 40), links),
    part("hosts", "Hosts", (35, 40), hosts),
    part("traces", "Traces", (60, 0), |_, _| Html::new()),
    part("validation", "Validation", (10, 20), validation),
    part("lint", "Lint", (10, 40), lint),
    part("notes", "What is missing", (10, 40), notes),
];
const TRACES: &str = "traces";
const LATENCY: &str = "latency";

/// Part of the bytes, of ten, that the packed timeline has at least.
const PACK_TENTHS: usize = 3;
/// Bytes for the sentence about what the window recomputes.
const REACH_BYTES: usize = 500;
/// Bytes of the elements around a part.
const SECTION_BYTES: usize = 250;

/// The parts of a run.
#[derive(Debug, Clone, Default)]
pub struct Rendering {
    pub sections: Vec<Section>,
    /// Id and bytes of the packed timeline.
    pub data: Option<(String, Vec<u8>)>,
}

/// All parts in at most `bytes` bytes.
pub fn run_parts(view: &View, bytes: usize, is_single: bool) -> Rendering {
    let around = PARTS.len() * SECTION_BYTES + REACH_BYTES + navigation(view, is_single);
    let bytes = bytes.saturating_sub(around);
    let weights = PARTS.iter().map(|part| part.weight).sum();
    let mut budget = Budget::new(bytes / 10 * (10 - PACK_TENTHS), weights);
    let mut used = 0;
    let mut sections = Vec::new();
    for part in &PARTS {
        let share = budget.share(part.weight);
        let body = match part.id {
            TRACES => traces(view, share),
            _ => fitted(share, part.rows, |rows| (part.build)(view, rows)),
        };
        budget.spend(body.as_str().len());
        used += body.as_str().len();
        sections.push(Section::new(&view.id(part.id), part.title, body));
    }
    // Base64 makes four bytes of three.
    let bytes_max = bytes.saturating_sub(used) / 4 * 3;
    let stats = &view.run.stats;
    let packed = pack(
        &view.run.timeline,
        stats.time_ns,
        |key| view.row_of(key),
        bytes_max,
    );
    let latency = PARTS
        .iter()
        .position(|part| part.id == LATENCY)
        .map(|index| &mut sections[index]);
    if let Some(section) = latency {
        let sentence = element("p").class("note").child(reach(view, packed.as_ref()));
        section.body.push(sentence);
    }
    Rendering {
        sections,
        data: packed.map(|packed| (view.id("timeline"), packed.bytes)),
    }
}

/// Bytes of the links to the parts of a run, if there are several runs.
fn navigation(view: &View, is_single: bool) -> usize {
    let links = PARTS
        .iter()
        .map(|part| link(&view.id(part.id), part.title).as_str().len());
    if is_single { 0 } else { links.sum::<usize>() + 200 }
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
            let heading_id = format!("{}-title", section.id);
            let heading = element("h3").attr("id", &heading_id).child(&section.title);
            html.push(
                element("section")
                    .attr("id", &section.id)
                    .attr("aria-labelledby", heading_id)
                    .child(heading)
                    .child(section.body.clone()),
            );
        }
        html
    }
}
