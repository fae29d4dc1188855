//! [`Html`]: markup that is safe to write into a page, and [`Element`], the only way to build it. Text becomes markup through `escape`.

use std::fmt::Display;

use crate::text::escape;

/// Markup in which every text was escaped. A `&str` or `String` that is converted into `Html` is escaped, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Empty markup.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Escaped text.
    pub fn text(text: &str) -> Self {
        Self(escape(text))
    }

    /// Markup from the source code. Only a literal can be passed, so no telemetry gets here.
    pub fn markup(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    pub fn push(&mut self, more: impl Into<Html>) {
        self.0.push_str(&more.into().0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Html {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Html {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<&String> for Html {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<Element> for Html {
    fn from(element: Element) -> Self {
        element.build()
    }
}

impl<T: Into<Html>> From<Option<T>> for Html {
    fn from(some: Option<T>) -> Self {
        some.map(Into::into).unwrap_or_default()
    }
}

impl<T: Into<Html>> FromIterator<T> for Html {
    fn from_iter<I: IntoIterator<Item = T>>(parts: I) -> Self {
        let mut all = Self::new();
        for part in parts {
            all.push(part);
        }
        all
    }
}

/// Elements of HTML without content and without an end tag.
const VOID: [&str; 7] = ["br", "col", "hr", "input", "link", "meta", "wbr"];
/// Elements of SVG without content. They are written as `<path/>`, which is valid in SVG only.
const SVG_LEAVES: [&str; 7] = ["circle", "ellipse", "line", "path", "polygon", "polyline", "rect"];

/// An element of HTML or SVG. Names come from the source code; values and children are escaped.
#[derive(Debug, Clone)]
pub struct Element {
    name: &'static str,
    attributes: String,
    children: Html,
}

/// Starts an element.
pub fn element(name: &'static str) -> Element {
    Element {
        name,
        attributes: String::new(),
        children: Html::new(),
    }
}

impl Element {
    /// Adds an attribute; its value is escaped.
    ///
    /// # Panics
    ///
    /// In debug builds, if the page's Content-Security-Policy would block the attribute.
    pub fn attr(mut self, name: &'static str, value: impl Display) -> Self {
        debug_assert!(
            name != "style" && !name.starts_with("on"),
            "the Content-Security-Policy blocks the attribute {name}"
        );
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        self.attributes.push_str(&escape(&value.to_string()));
        self.attributes.push('"');
        self
    }

    /// Adds an attribute if there is a value.
    pub fn attr_if(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds an attribute without a value.
    pub fn flag(mut self, name: &'static str) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self
    }

    pub fn class(self, class: &str) -> Self {
        self.attr("class", class)
    }

    /// Adds text (escaped), an element or other markup.
    pub fn child(mut self, child: impl Into<Html>) -> Self {
        self.children.push(child);
        self
    }

    pub fn children<T: Into<Html>>(mut self, children: impl IntoIterator<Item = T>) -> Self {
        for child in children {
            self.children.push(child);
        }
        self
    }

    pub fn build(self) -> Html {
        let Self {
            name,
            attributes,
            children,
        } = self;
        let children = children.0;
        Html(if VOID.contains(&name) {
            format!("<{name}{attributes}>")
        } else if children.is_empty() && SVG_LEAVES.contains(&name) {
            format!("<{name}{attributes}/>")
        } else {
            format!("<{name}{attributes}>{children}</{name}>")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attribute_values_are_escaped_and_markup_is_not() {
        let hostile = "\"><script>alert(1)</script>";
        let html = element("p")
            .attr("title", hostile)
            .child(hostile)
            .child(element("b").child(Html::text("<")))
            .child(element("br"))
            .build();
        let escaped = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
        assert_eq!(
            html.as_str(),
            format!("<p title=\"{escaped}\">{escaped}<b>&lt;</b><br></p>")
        );
    }

    #[test]
    #[should_panic(expected = "Content-Security-Policy")]
    fn an_inline_style_is_refused() {
        let _ = element("p").attr("style", "color: red");
    }
}
