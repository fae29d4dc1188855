//! Key figures as [`tiles`], verdicts as [`badge`]s, and messages as [`notice`]s.

use crate::html::{Html, element};

/// A judgement. Each has its own sign in addition to its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Warning,
    Bad,
    Neutral,
}

impl Verdict {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Warning => "badge warning",
            Self::Bad => "badge bad",
            Self::Neutral => "badge neutral",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✕",
            Self::Neutral => "i",
        }
    }
}

/// A short text with a sign: `✓ valid`.
pub fn badge(verdict: Verdict, text: &str) -> Html {
    let sign = element("span")
        .class("sign")
        .attr("aria-hidden", "true")
        .child(verdict.sign());
    element("span")
        .class(verdict.class())
        .child(sign)
        .child(text)
        .build()
}

/// A sentence with a verdict's sign, for example about missing data.
pub fn notice(verdict: Verdict, text: impl Into<Html>) -> Html {
    let sign = element("span")
        .class("sign")
        .attr("aria-hidden", "true")
        .child(verdict.sign());
    let class = match verdict {
        Verdict::Good => "notice good",
        Verdict::Warning => "notice warning",
        Verdict::Bad => "notice bad",
        Verdict::Neutral => "notice neutral",
    };
    element("p")
        .class(class)
        .child(sign)
        .child(element("span").child(text))
        .build()
}

/// A key figure.
#[derive(Debug, Clone, Default)]
pub struct Tile {
    /// Name of the figure in the attribute `data-tile`, for scripts. Empty if there is none.
    pub key: String,
    pub label: String,
    pub value: String,
    /// Text or chart under the value: an interval, a badge, or a sparkline.
    pub detail: Html,
}

/// Key figures side by side.
pub fn tiles(tiles: &[Tile]) -> Html {
    let tiles = tiles.iter().map(|tile| {
        let key = (!tile.key.is_empty()).then_some(&tile.key);
        let detail =
            (!tile.detail.is_empty()).then(|| element("dd").class("detail").child(tile.detail.clone()));
        element("div")
            .class("tile")
            .child(element("dt").child(&tile.label))
            .child(
                element("dd")
                    .class("value")
                    .attr_if("data-tile", key)
                    .child(&tile.value),
            )
            .child(detail)
    });
    element("dl").class("tiles").children(tiles).build()
}
