//! [`Document`]: a complete page in one text, with a Content-Security-Policy that names the hash of each inline block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::html::{Html, element};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
/// An icon in the page: without it, browsers request `/favicon.ico` from the server of the page.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 4h9M4 8h10M2 12h6' stroke='%230072b2' stroke-width='3' stroke-linecap='round'/%3E%3C/svg%3E";

/// A page. The style and the script that all pages have (for tips, theme and keys) come first.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub title: String,
    /// Text beside the title, such as a badge or the run's time.
    pub subtitle: Html,
    pub sections: Vec<Section>,
    pub footer: Html,
    /// Styles of this page only. They are literals, so that no telemetry gets into a block that is not escaped.
    pub styles: Vec<&'static str>,
    /// Scripts of this page only. They run after the content.
    pub scripts: Vec<&'static str>,
    /// Bytes by element id, written in base64 into a script element that no browser runs.
    pub data: Vec<(String, Vec<u8>)>,
    /// Whether the page may connect to its own origin. The live page does so for its events.
    pub connects_to_origin: bool,
}

/// A part of the page with an entry in the navigation.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Unique in the page; the target of links.
    pub id: String,
    pub title: String,
    pub body: Html,
}

impl Section {
    pub fn new(id: &str, title: &str, body: impl Into<Html>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            body: body.into(),
        }
    }
}

impl Document {
    /// The whole text of the page.
    pub fn html(&self) -> String {
        let style = [&[STYLE], self.styles.as_slice()].concat().join("\n");
        let mut page =
            String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        let policy = self.policy(&style);
        let head = [
            element("meta")
                .attr("http-equiv", "Content-Security-Policy")
                .attr("content", policy),
            element("meta")
                .attr("name", "viewport")
                .attr("content", "width=device-width, initial-scale=1"),
            element("meta")
                .attr("name", "color-scheme")
                .attr("content", "light dark"),
            element("meta")
                .attr("name", "referrer")
                .attr("content", "no-referrer"),
            element("title").child(&self.title),
            element("link").attr("rel", "icon").attr("href", ICON),
        ];
        for element in head {
            page.push_str(element.build().as_str());
            page.push('\n');
        }
        // Blocks are written unchanged, because their hashes are those of exactly this text.
        page.push_str(&format!(
            "<style>{style}</style>\n<script>{SCRIPT}</script>\n</head>\n<body>\n"
        ));
        page.push_str(self.body().as_str());
        for (id, bytes) in &self.data {
            let data = element("script")
                .attr("type", "application/octet-stream;base64")
                .attr("id", id)
                .child(BASE64.encode(bytes));
            page.push_str(data.build().as_str());
            page.push('\n');
        }
        for script in &self.scripts {
            page.push_str(&format!("<script>{script}</script>\n"));
        }
        page.push_str("</body>\n</html>\n");
        page
    }

    fn policy(&self, style: &str) -> String {
        let scripts: String = [&[SCRIPT], self.scripts.as_slice()]
            .concat()
            .iter()
            .map(|script| format!(" {}", hash(script)))
            .collect();
        let connect = match self.connects_to_origin {
            true => "; connect-src 'self'",
            false => "",
        };
        format!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {}; script-src{scripts}{connect}",
            hash(style)
        )
    }

    fn body(&self) -> Html {
        let skip = element("a")
            .class("skip")
            .attr("href", "#content")
            .child("Skip to content");
        let theme = element("button")
            .class("theme")
            .attr("type", "button")
            .attr("data-theme-toggle", "")
            .child("Light or dark");
        let heading = element("div")
            .class("heading")
            .child(element("h1").child(&self.title))
            .child(element("div").class("subtitle").child(self.subtitle.clone()));
        let links = self.sections.iter().map(|section| {
            let link = element("a").attr("href", format!("#{}", section.id));
            element("li").child(link.child(&section.title))
        });
        let nav = element("nav")
            .attr("aria-label", "Sections")
            .child(element("ul").children(links));
        let header = element("header").child(element("div").class("top").child(heading).child(theme));
        let sections = self.sections.iter().map(|section| {
            let heading_id = format!("{}-title", section.id);
            let heading = element("h2").attr("id", &heading_id).child(&section.title);
            element("section")
                .attr("id", &section.id)
                .attr("aria-labelledby", heading_id)
                .child(heading)
                .child(section.body.clone())
        });
        let main = element("main")
            .attr("id", "content")
            .attr("tabindex", "-1")
            .children(sections);
        let footer = (!self.footer.is_empty()).then(|| element("footer").child(self.footer.clone()));
        let mut body = Html::new();
        body.push(skip);
        body.push(header);
        body.push(nav);
        body.push(main);
        body.push(footer);
        body
    }
}

/// The source expression for an inline block in the Content-Security-Policy.
fn hash(block: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(block)))
}
