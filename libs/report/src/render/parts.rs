//! [`run_parts`]: all parts of a run within a number of bytes.

use page::document::Section;
use page::html::{Html, element};

use super::budget::{Budget, fitted, kept};
use super::calls::{calls, links};
use super::checks::{lint, notes, validation};
use super::hosts::hosts;
use super::latency::{CONTROLS, has_map, latency, reach};
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
    /// The part's share of the bytes, relative to other parts.
    weight: usize,
    /// Maximum number of rows in each of its tables.
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

/// The parts in the order of the page. The weight of a part is about its size in the page of a large run, in thousands of
/// bytes.
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
/// Parts that say which figures cannot be trusted. They get their bytes first, and are never left out.
const KEPT: [&str; 3] = ["summary", "validation", "notes"];
/// Minimum number of bytes for each of the parts in [`KEPT`]: enough for their sentences and some rows. Without rows they need
/// less.
const KEPT_BYTES: usize = 6_000;
/// Parts that get the bytes that other parts do not use. The first one is the part in which missing rows matter most.
const REDRAWN: [&str; 9] = [
    "modules",
    "over-time",
    "latency",
    "calls",
    "nodes",
    "endpoints",
    "hosts",
    "links",
    "lint",
];
/// If fewer bytes than this remain, no part is drawn a second time.
pub const REDRAWN_BYTES_MIN: usize = 2_000;

/// Maximum size of the packed timeline, percent of the run's bytes.
const PACK_PERCENT: usize = 35;
/// Bytes for the sentence about the figures that the page can recompute for a window.
const REACH_BYTES: usize = 500;
/// Bytes of the elements around a part.
const SECTION_BYTES: usize = 250;
/// Bytes of the element around the packed timeline.
const DATA_BYTES: usize = 150;

/// The parts of a run as markup, and their size.
#[derive(Debug, Clone, Default)]
pub struct Rendering {
    pub sections: Vec<Section>,
    /// Id and bytes of the packed timeline.
    pub data: Option<(String, Vec<u8>)>,
    /// Maximum size of all parts and the data in the page.
    pub bytes: usize,
    /// Whether no part lacks rows.
    pub is_whole: bool,
}

/// The bodies of [`PARTS`].
struct Bodies {
    bodies: Vec<Html>,
    is_whole: bool,
}

/// All parts in at most `bytes` bytes.
pub fn run_parts(view: &View, bytes: usize, is_single: bool) -> Rendering {
    let bytes = bytes.saturating_sub(around(view, is_single));
    let pack_max = bytes / 100 * PACK_PERCENT / 4 * 3;
    // Without a heat map a reader cannot choose a window, so the timeline would be useless.
    let mut packed = has_map(view)
        .then(|| {
            pack(
                &view.run.timeline,
                view.length_ns(),
                |key| view.row_of(key),
                pack_max,
            )
        })
        .flatten();
    let encoded = packed.as_ref().map_or(0, |packed| encoded_len(&packed.bytes));
    let Bodies { bodies, is_whole } = bodies(view, bytes.saturating_sub(encoded));
    let mut sections: Vec<Section> = PARTS
        .iter()
        .zip(bodies)
        .map(|(part, body)| Section::new(&view.id(part.id), part.title, body))
        .collect();
    let latency = PARTS
        .iter()
        .position(|part| part.id == LATENCY)
        .map(|index| &mut sections[index]);
    if let Some(section) = latency {
        // The part with the controls may have been left out. Texts from telemetry cannot contain this markup, because their
        // quotes are escaped.
        let controls = format!("id=\"{}\"", view.id(CONTROLS));
        packed = packed.filter(|_| section.body.as_str().contains(&controls));
        let sentence = element("p").class("note").child(reach(view, packed.as_ref()));
        section.body.push(sentence);
    }
    let bodies = sections.iter().map(|section| section.body.as_str().len());
    Rendering {
        bytes: bodies.sum::<usize>() + encoded + around(view, is_single),
        is_whole,
        sections,
        data: packed.map(|packed| (view.id("timeline"), packed.bytes)),
    }
}

impl Part {
    fn is_kept(&self) -> bool {
        KEPT.contains(&self.id)
    }

    /// The part in at most `bytes` bytes. Parts that must not be left out can be larger.
    fn body(&self, view: &View, bytes: usize) -> Html {
        let build = |rows| (self.build)(view, rows);
        match self.id {
            TRACES => traces(view, bytes),
            _ if self.is_kept() => kept(bytes.max(KEPT_BYTES), self.rows, build),
            _ => fitted(bytes, self.rows, build),
        }
    }
}

/// All parts in at most `bytes` bytes. If they fit, all are complete. Otherwise each part gets its share, and then the bytes
/// that remain go to parts that lack rows.
fn bodies(view: &View, bytes: usize) -> Bodies {
    let mut bodies: Vec<Html> = PARTS.iter().map(|part| part.body(view, usize::MAX)).collect();
    let size = |bodies: &[Html]| bodies.iter().map(|body| body.as_str().len()).sum::<usize>();
    if size(&bodies) <= bytes {
        return Bodies {
            bodies,
            is_whole: true,
        };
    }
    let whole: Vec<usize> = bodies.iter().map(|body| body.as_str().len()).collect();
    let weights = PARTS.iter().map(|part| part.weight).sum();
    let mut budget = Budget::new(bytes, weights);
    let (first, then): (Vec<_>, Vec<_>) = PARTS.iter().enumerate().partition(|(_, part)| part.is_kept());
    for (index, part) in first.into_iter().chain(then) {
        bodies[index] = part.body(view, budget.share(part.weight));
        budget.spend(bodies[index].as_str().len());
    }
    let places = REDRAWN.iter().chain([&TRACES]);
    for index in places.filter_map(|id| PARTS.iter().position(|part| part.id == *id)) {
        let left = bytes.saturating_sub(size(&bodies));
        let drawn = bodies[index].as_str().len();
        if drawn != whole[index] && left >= REDRAWN_BYTES_MIN {
            bodies[index] = PARTS[index].body(view, drawn + left);
        }
    }
    Bodies {
        is_whole: bodies
            .iter()
            .zip(whole)
            .all(|(body, whole)| body.as_str().len() == whole),
        bodies,
    }
}

/// Size of bytes in base64, which makes four bytes of three.
fn encoded_len(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

/// Maximum size of the markup around the parts of a run: headings, links to them if there are several runs, a sentence, and an
/// element for the data.
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
    /// All parts under one heading.
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
            // A section is a landmark only if it has a name. All runs have the same parts, and names of landmarks must differ,
            // so these sections get none.
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
