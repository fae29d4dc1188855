//! [`Templates`]: bodies for routes of other services, from a file that the user writes.

use std::path::{Path, PathBuf};

use cctf_load::plan::payload::SIZE_BYTES_MAX;
use cctf_load::plan::random;
use http::HeaderValue;
use toml_edit::{Document, Item, Table};

/// Maximum size of the file: thousands of templates.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Maximum number of templates. Each root is compared with all of them.
const TEMPLATES_MAX: usize = 1_000;
const KEYS: [&str; 5] = ["method", "route", "module", "content_type", "body"];
const DEFAULT_TYPE: &str = "application/json";
/// The byte used as padding. It is harmless in JSON, forms and XML.
const PAD: u8 = b'x';

/// The reason why a file of templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot parse {}: {what}", path.display())]
    Parse { path: PathBuf, what: String },
    #[error("cannot use template {number} of {}: {what}", path.display())]
    Template {
        path: PathBuf,
        /// Position in the file, from 1.
        number: usize,
        what: String,
    },
}

/// The templates in the order of the file. The first template that matches a root determines the body of the root.
#[derive(Debug, Clone, Default)]
pub struct Templates(Vec<Template>);

#[derive(Debug, Clone)]
pub struct Template {
    method: Option<String>,
    module: Option<String>,
    route: String,
    pub content_type: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Number of the request in the replay, from 0.
    Index,
    /// A random number for each use.
    Random,
    /// Recorded size of the body, bytes.
    Size,
    /// Letters. Their number is such that the body gets its recorded size.
    Pad,
}

/// The recorded facts by which a template is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    pub method: &'a str,
    pub module: &'a str,
    pub route: Option<&'a str>,
    pub path: &'a str,
}

impl Templates {
    /// # Errors
    /// A file that cannot be read, is not TOML, or has an unusable template.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let failed = |source| TemplateError::Read {
            path: path.to_owned(),
            source,
        };
        let found = std::fs::metadata(path).map_err(failed)?;
        if !found.is_file() {
            // Opening a pipe would wait for a writer, and a device has no end.
            return Err(failed(std::io::Error::other(
                "it is not a regular file; choose one with --bodies",
            )));
        }
        let size = found.len();
        if size > FILE_BYTES_MAX {
            return Err(failed(std::io::Error::other(format!(
                "it has {size} bytes, more than the maximum of {FILE_BYTES_MAX}"
            ))));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TemplateError> {
        let unparsed = |what: String| TemplateError::Parse {
            path: path.to_owned(),
            what,
        };
        let document = Document::parse(text).map_err(|error| unparsed(one_line(&error.to_string())))?;
        if let Some((key, _)) = document.iter().find(|(key, _)| *key != "template") {
            return Err(unparsed(format!(
                "unknown key {key:?}; a template starts with [[template]]"
            )));
        }
        let tables = match document.get("template") {
            Some(Item::ArrayOfTables(tables)) => tables,
            _ => return Err(unparsed("no template; start each with [[template]]".to_owned())),
        };
        if tables.len() > TEMPLATES_MAX {
            return Err(unparsed(format!(
                "more than the maximum of {TEMPLATES_MAX} templates"
            )));
        }
        let templates = tables.iter().enumerate().map(|(index, table)| {
            Template::read(table).map_err(|what| TemplateError::Template {
                path: path.to_owned(),
                number: index + 1,
                what,
            })
        });
        Ok(Self(templates.collect::<Result<_, _>>()?))
    }

    /// The first matching template, with its number from 0.
    pub fn find(&self, shape: &Shape<'_>) -> Option<(usize, &Template)> {
        self.0
            .iter()
            .enumerate()
            .find(|(_, template)| template.matches(shape))
    }

    pub fn get(&self, number: usize) -> Option<&Template> {
        self.0.get(number)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The parser's message on one line, without its drawing of the position.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let kept: Vec<&str> = lines
        .filter(|line| !line.starts_with('|') && !line.contains(" | "))
        .collect();
    kept.join(": ")
}

impl Template {
    fn read(table: &Table) -> Result<Self, String> {
        if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
            return Err(format!("unknown key {key:?}; use {}", KEYS.join(", ")));
        }
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(item) => item
                .as_str()
                .map(|text| Some(text.to_owned()))
                .ok_or_else(|| format!("{key} is not a string")),
        };
        let needed = |key: &str| text(key)?.ok_or_else(|| format!("{key} is missing"));
        let content_type = text("content_type")?.unwrap_or_else(|| DEFAULT_TYPE.to_owned());
        if HeaderValue::from_str(&content_type).is_err() {
            return Err(format!("invalid content_type {content_type:?}"));
        }
        let route = needed("route")?;
        if !route.starts_with('/') {
            return Err(format!("invalid route {route:?}: it starts with /"));
        }
        let template = Self {
            method: text("method")?.map(|method| method.to_ascii_uppercase()),
            module: text("module")?,
            route,
            content_type,
            pieces: pieces(&needed("body")?)?,
        };
        template.check_json()?;
        Ok(template)
    }

    fn matches(&self, shape: &Shape<'_>) -> bool {
        self.method.as_ref().is_none_or(|method| method == shape.method)
            && self.module.as_ref().is_none_or(|module| module == shape.module)
            && (shape.route == Some(&*self.route) || is_path_of(&self.route, shape.path))
    }

    /// The body of request number `index` of the replay, and whether it has the recorded size.
    pub fn render(&self, index: u64, size: Option<u64>, seed: u64) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        let (mut pad_at, mut uses) = (None, 0);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => body.extend_from_slice(text.as_bytes()),
                Piece::Index => body.extend_from_slice(index.to_string().as_bytes()),
                Piece::Size => body.extend_from_slice(size.unwrap_or(0).to_string().as_bytes()),
                Piece::Pad => pad_at = Some(body.len()),
                Piece::Random => {
                    uses += 1;
                    let number = random::at(random::at(seed, index), uses);
                    body.extend_from_slice(number.to_string().as_bytes());
                }
            }
        }
        let wanted = size
            .and_then(|size| usize::try_from(size).ok())
            .filter(|&size| size <= SIZE_BYTES_MAX);
        let missing = wanted.unwrap_or(0).saturating_sub(body.len());
        if let Some(at) = pad_at {
            body.splice(at..at, std::iter::repeat_n(PAD, missing));
        }
        let is_of_size = wanted.is_none_or(|wanted| wanted == body.len());
        (body, is_of_size)
    }

    /// Renders samples of a template whose content type is JSON, and checks that they parse. The numbers in them differ in
    /// their first digit and length.
    fn check_json(&self) -> Result<(), String> {
        let is_json = self.content_type.split(';').next().is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        });
        if !is_json {
            return Ok(());
        }
        for (index, size) in [(0, None), (7, Some(0)), (u64::MAX, Some(10_000))] {
            let (body, _) = self.render(index, size, index);
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
                return Err(format!(
                    "the body is not JSON ({error}), although its content_type is {:?}",
                    self.content_type
                ));
            }
        }
        Ok(())
    }
}

/// Whether a path fits a pattern in which `{name}` stands for one segment.
fn is_path_of(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => {
                let is_any = wanted.starts_with('{') && wanted.ends_with('}') && !found.is_empty();
                if !is_any && wanted != found {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err("a placeholder starts with {{ but does not end with }}".to_owned());
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let piece = match name.trim() {
            "index" => Piece::Index,
            "random" => Piece::Random,
            "size" => Piece::Size,
            "pad" if pieces.contains(&Piece::Pad) => return Err("it has two placeholders {{pad}}".to_owned()),
            "pad" => Piece::Pad,
            other => {
                return Err(format!(
                    "unknown placeholder {{{{{other}}}}}; use {{{{index}}}}, {{{{random}}}}, {{{{size}}}} or {{{{pad}}}}"
                ));
            }
        };
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Templates, String> {
        Templates::parse(Path::new("bodies.toml"), text).map_err(|error| error.to_string())
    }

    fn one(body: &str) -> Result<Template, String> {
        let text = format!("[[template]]\nroute = \"/a\"\nbody = '''{body}'''\n");
        parse(&text).map(|templates| templates.get(0).unwrap().clone())
    }

    const SHAPE: Shape<'_> = Shape {
        method: "POST",
        module: "cart",
        route: None,
        path: "/cart/17/items",
    };

    #[test]
    fn a_rendered_body_has_the_recorded_size_and_parses() {
        let template =
            one(r#"{"user": {{index}}, "token": {{random}}, "was": {{size}}, "note": "{{pad}}"}"#).unwrap();
        let (body, is_of_size) = template.render(3, Some(200), 1);
        assert!(is_of_size && body.len() == 200);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (value["user"].as_u64(), value["was"].as_u64()),
            (Some(3), Some(200))
        );
        assert_eq!(template.render(3, Some(200), 1).0, body);
        assert_ne!(template.render(3, Some(200), 2).0, body);
        assert_ne!(template.render(4, Some(200), 1).0, body);
        let (body, is_of_size) = template.render(3, Some(20), 1);
        assert!(
            !is_of_size && body.len() > 20,
            "the text is longer than the recorded body"
        );
        assert!(template.render(3, None, 1).1);
    }

    #[test]
    fn the_first_template_of_a_route_or_its_paths_matches() {
        let templates = parse(
            r#"
            [[template]]
            method = "put"
            route = "/cart/{id}/items"
            body = "1"
            [[template]]
            module = "front"
            route = "/cart/{id}/items"
            body = "2"
            [[template]]
            route = "/cart/{id}/items"
            content_type = "text/plain"
            body = "all"
            "#,
        )
        .unwrap();
        let found = |shape: Shape<'_>| templates.find(&shape).map(|(number, _)| number);
        assert_eq!(found(SHAPE), Some(2));
        assert_eq!(
            found(Shape {
                method: "PUT",
                ..SHAPE
            }),
            Some(0)
        );
        assert_eq!(
            found(Shape {
                module: "front",
                ..SHAPE
            }),
            Some(1)
        );
        let named = Shape {
            route: Some("/cart/{id}/items"),
            path: "/elsewhere",
            ..SHAPE
        };
        assert_eq!(found(named), Some(2));
        for path in ["/cart//items", "/cart/17", "/cart/17/items/2", "/cart/17/items/"] {
            assert_eq!(found(Shape { path, ..SHAPE }), None, "{path}");
        }
    }

    #[test]
    fn an_unusable_template_is_an_error_that_names_it() {
        for (text, part) in [
            ("route = ", "cannot parse bodies.toml: "),
            ("", "no template"),
            ("[[body]]\nroute = '/a'", "unknown key \"body\""),
            (
                "[[template]]\nroute = '/a'",
                "template 1 of bodies.toml: body is missing",
            ),
            ("[[template]]\nbody = '1'", "route is missing"),
            ("[[template]]\nroute = 'a'\nbody = '1'", "starts with /"),
            ("[[template]]\nroute = '/a'\nbody = 1", "body is not a string"),
            (
                "[[template]]\nroute = '/a'\nbody = '1'\nsize = 3",
                "unknown key \"size\"",
            ),
            (
                "[[template]]\nroute = '/a'\ncontent_type = \"a\\r\\nb: c\"\nbody = '1'",
                "invalid content_type",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
        for (body, part) in [
            ("{{index", "does not end"),
            ("{{indx}}", "unknown placeholder {{indx}}"),
            ("{{pad}}{{pad}}", "two placeholders"),
            (r#"{"a": {{index}}"#, "not JSON"),
            ("0{{index}}", "not JSON"),
            ("{{pad}}", "not JSON"),
        ] {
            let error = one(body).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
        assert!(one(r#"[{{ index }}, "{{pad}}"]"#).is_ok());
    }
}
