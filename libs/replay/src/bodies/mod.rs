//! [`Bodies`]: the body of each replayed request. The same seed gives the same bytes.

mod generate;
pub mod templates;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cctf_load::plan::payload::SIZE_BYTES_MAX;
use plan::roots::{Arrival, Root, RootsError};

use templates::{Shape, Templates};

/// Maximum size of the cache for bodies that take time to make, bytes. A full cache is emptied. Runs of our driver have at most a
/// few hundred different sizes of bodies.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// Status of our endpoints for a body that they do not accept.
const REFUSED: i64 = 400;
const TOO_LARGE: i64 = 413;

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";
/// Minimum size of the shared text, bytes. All text bodies are prefixes of it.
const TEXT_BYTES_MIN: usize = 64 << 10;

/// The way in which the body of a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The request has no body.
    None,
    /// The endpoint belongs to our service, tunable-svc, so the body is one that gives the recorded status.
    Endpoint(Recipe),
    /// The template with this number, from 0.
    Template(usize),
    /// Text of the recorded size, because it is unknown which content the service expects.
    Filler,
}

/// A body to which an endpoint of our service gives the recorded answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    Json,
    /// Invalid JSON.
    BrokenJson,
    Text,
    /// Text that compresses to about the size of the recorded answer.
    Compressible,
    /// A gzip file of exactly the recorded size, whose content has the size of the recorded answer.
    Gzip,
    /// A file that declares more content than the service allows.
    GzipTooLarge,
}

/// A body and the content type of its request.
#[derive(Debug, Clone)]
pub struct Body {
    pub bytes: Bytes,
    /// `None` if the request has no body.
    pub content_type: Option<Arc<str>>,
    /// Whether the bytes are shared with later requests.
    pub is_shared: bool,
}

/// Makes bodies, and keeps those that are needed again.
#[derive(Debug)]
pub struct Bodies {
    seed: u64,
    templates: Arc<Templates>,
    types: Vec<Arc<str>>,
    json: Arc<str>,
    octets: Arc<str>,
    /// All text bodies are prefixes of this text.
    text: Bytes,
    made: HashMap<(Recipe, usize, Option<usize>), Bytes>,
    made_bytes: usize,
}

/// How the body of a root is made.
pub fn choose(root: &Root, templates: &Templates) -> Choice {
    let method = root.method.as_deref().unwrap_or_default();
    let recorded = root.body_bytes.unwrap_or(0);
    let takes_body = matches!(method, "POST" | "PUT" | "PATCH");
    if !takes_body && recorded == 0 {
        return Choice::None;
    }
    let path = root.path.as_deref().unwrap_or_default();
    let shape = Shape {
        method,
        module: &root.module,
        route: root.route.as_deref(),
        path,
    };
    if let Some((number, _)) = templates.find(&shape) {
        return Choice::Template(number);
    }
    match recipe(root, method, path) {
        Some(recipe) => Choice::Endpoint(recipe),
        // The recorded body was empty, so no content has to be chosen.
        None if recorded == 0 && root.body_bytes.is_some() => Choice::Endpoint(Recipe::Text),
        None => Choice::Filler,
    }
}

/// The recipe of an endpoint of our service: service/src/endpoints has one file for each.
fn recipe(root: &Root, method: &str, path: &str) -> Option<Recipe> {
    let has_route = |ours: &str| has_route(root, ours);
    let is_success = root.status.is_some_and(|status| (200..300).contains(&status));
    let recipe = match (method, path) {
        ("POST", "/json/validate") if has_route(path) => match root.status {
            Some(REFUSED) => Recipe::BrokenJson,
            _ => Recipe::Json,
        },
        ("POST", "/blob/gzip") if has_route(path) => {
            // The text is made for the default level of compression. Another level in the query would give another size.
            let is_known = is_success && root.answer_bytes.is_some() && root.query.is_none();
            if is_known {
                Recipe::Compressible
            } else {
                Recipe::Text
            }
        }
        ("POST", "/blob/gunzip") if has_route(path) => match root.status {
            Some(REFUSED) => Recipe::Text,
            Some(TOO_LARGE) => Recipe::GzipTooLarge,
            _ => Recipe::Gzip,
        },
        ("POST", "/hash/sha256" | "/work") if has_route(path) => Recipe::Text,
        ("POST", _) if path.starts_with(SET) && has_route(SET_ROUTE) => Recipe::Text,
        _ => return None,
    };
    Some(recipe)
}

/// Path of our endpoint that stores a value, before the key.
pub const SET: &str = "/kv/set/";
pub const SET_ROUTE: &str = "/kv/set/{key}";
/// Path of our endpoint that reads a value, before the key.
pub const GET: &str = "/kv/get/";
pub const GET_ROUTE: &str = "/kv/get/{key}";

/// Whether a root can belong to a route of our service. If no recorded service answered the request, its route is unknown, so the
/// root can belong to any route.
pub fn has_route(root: &Root, ours: &str) -> bool {
    root.route.as_deref().is_none_or(|route| route == ours)
}

impl Bodies {
    pub fn new(seed: u64, templates: Arc<Templates>) -> Self {
        let count = templates.len();
        let types = (0..count).filter_map(|number| templates.get(number));
        Self {
            seed,
            types: types
                .map(|template| template.content_type.as_str().into())
                .collect(),
            templates,
            json: JSON.into(),
            octets: OCTETS.into(),
            text: Bytes::new(),
            made: HashMap::new(),
            made_bytes: 0,
        }
    }

    /// The body of request number `index` of the replay.
    pub fn body(&mut self, root: &Root, index: u64) -> Body {
        let size = usize::try_from(root.body_bytes.unwrap_or(0))
            .unwrap_or(usize::MAX)
            .min(SIZE_BYTES_MAX);
        let shared = |bytes, content_type: &Arc<str>| Body {
            bytes,
            content_type: Some(Arc::clone(content_type)),
            is_shared: true,
        };
        match choose(root, &self.templates) {
            Choice::None => Body {
                bytes: Bytes::new(),
                content_type: None,
                is_shared: true,
            },
            Choice::Filler | Choice::Endpoint(Recipe::Text) => shared(self.text(size), &self.octets.clone()),
            Choice::Endpoint(recipe) => {
                // The answer of a service whose queue is full shows nothing about the body.
                let is_of_endpoint = root
                    .status
                    .is_some_and(|status| (200..300).contains(&status) || status == REFUSED);
                let answer = root.answer_bytes.filter(|_| is_of_endpoint);
                let (bytes, is_shared) =
                    self.made(recipe, size, answer.and_then(|bytes| usize::try_from(bytes).ok()));
                let is_json = matches!(recipe, Recipe::Json | Recipe::BrokenJson);
                Body {
                    is_shared,
                    ..shared(bytes, if is_json { &self.json } else { &self.octets })
                }
            }
            Choice::Template(number) => {
                let rendered = self
                    .templates
                    .get(number)
                    .map(|template| template.render(index, root.body_bytes, self.seed));
                let (bytes, _) = rendered.unwrap_or_default();
                Body {
                    bytes: bytes.into(),
                    content_type: self.types.get(number).cloned(),
                    is_shared: false,
                }
            }
        }
    }

    /// Text of words and numbers. All requests share it.
    pub fn text(&mut self, size: usize) -> Bytes {
        if self.text.len() < size {
            let larger = size.next_power_of_two().clamp(TEXT_BYTES_MIN, SIZE_BYTES_MAX);
            self.text = generate::text(larger, self.seed).into();
        }
        self.text.slice(..size.min(self.text.len()))
    }

    /// Makes the bodies that take time, until the cache is full. Finding a compressed size takes about a millisecond, which can
    /// be longer than the time between two requests. Returns early if `stop` is set.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn make_ahead(
        &mut self,
        arrivals: impl Iterator<Item = Result<Arrival, RootsError>>,
        stop: &AtomicBool,
    ) -> Result<(), RootsError> {
        for arrival in arrivals {
            let root = arrival?.root;
            let size = usize::try_from(root.body_bytes.unwrap_or(0)).unwrap_or(usize::MAX);
            // A further body would empty the cache.
            let is_full = self.made_bytes.saturating_add(size) > CACHE_BYTES_MAX;
            if is_full || stop.load(Ordering::Relaxed) {
                break;
            }
            match choose(&root, &self.templates) {
                Choice::Endpoint(recipe) if recipe != Recipe::Text => drop(self.body(&root, 0)),
                _ => {}
            }
        }
        Ok(())
    }

    /// A body from the cache or a new one, and whether it came from the cache.
    fn made(&mut self, recipe: Recipe, size: usize, answer: Option<usize>) -> (Bytes, bool) {
        // Only these three recipes depend on the answer.
        let answer =
            answer.filter(|_| matches!(recipe, Recipe::Compressible | Recipe::Gzip | Recipe::BrokenJson));
        let key = (recipe, size, answer);
        if let Some(bytes) = self.made.get(&key) {
            return (bytes.clone(), true);
        }
        let seed = self.seed;
        let bytes: Bytes = match (recipe, answer) {
            (Recipe::Json, _) => generate::json(size, seed),
            (Recipe::BrokenJson, _) => generate::broken_json(size, answer, seed),
            (Recipe::Compressible, Some(answer)) => generate::text_that_compresses_to(size, answer, seed),
            (Recipe::Text | Recipe::Compressible, _) => generate::text(size, seed),
            (Recipe::Gzip, answer) => generate::gzip(size, answer, seed),
            (Recipe::GzipTooLarge, _) => generate::gzip_too_large(size, seed),
        }
        .into();
        if self.made_bytes + bytes.len() > CACHE_BYTES_MAX {
            self.made.clear();
            self.made_bytes = 0;
        }
        self.made_bytes += bytes.len();
        self.made.insert(key, bytes.clone());
        (bytes, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root;

    fn chosen(method: &str, path: &str, status: Option<i64>) -> Choice {
        let root = Root {
            status,
            answer_bytes: Some(100),
            ..root(method, path, Some(1_000))
        };
        choose(&root, &Templates::default())
    }

    #[test]
    fn each_endpoint_gets_a_body_that_gives_the_recorded_status() {
        use Choice::{Endpoint, Filler};
        for (method, path, status, choice) in [
            ("POST", "/json/validate", Some(200), Endpoint(Recipe::Json)),
            ("POST", "/json/validate", Some(400), Endpoint(Recipe::BrokenJson)),
            ("POST", "/json/validate", Some(503), Endpoint(Recipe::Json)),
            ("POST", "/json/validate", None, Endpoint(Recipe::Json)),
            ("POST", "/blob/gzip", Some(200), Endpoint(Recipe::Compressible)),
            ("POST", "/blob/gzip", Some(503), Endpoint(Recipe::Text)),
            ("POST", "/blob/gunzip", Some(200), Endpoint(Recipe::Gzip)),
            ("POST", "/blob/gunzip", Some(400), Endpoint(Recipe::Text)),
            ("POST", "/blob/gunzip", Some(413), Endpoint(Recipe::GzipTooLarge)),
            ("POST", "/hash/sha256", Some(200), Endpoint(Recipe::Text)),
            ("POST", "/kv/set/a", Some(200), Endpoint(Recipe::Text)),
            ("POST", "/work", Some(200), Endpoint(Recipe::Text)),
            ("POST", "/checkout", Some(200), Filler),
            ("GET", "/json/validate", Some(405), Filler),
        ] {
            assert_eq!(chosen(method, path, status), choice, "{method} {path} {status:?}");
        }
        let routed = Root {
            route: Some("/json/{what}".into()),
            ..root("POST", "/json/validate", Some(10))
        };
        assert_eq!(
            choose(&routed, &Templates::default()),
            Filler,
            "another service's route"
        );
    }

    #[test]
    fn only_methods_with_a_body_or_recorded_bytes_send_one() {
        for (method, size, is_none) in [
            ("GET", None, true),
            ("GET", Some(0), true),
            ("GET", Some(5), false),
            ("DELETE", Some(0), true),
            ("POST", None, false),
            ("POST", Some(0), false),
        ] {
            let choice = choose(&root(method, "/a", size), &Templates::default());
            assert_eq!(choice == Choice::None, is_none, "{method} {size:?}");
        }
        let empty = choose(&root("POST", "/a", Some(0)), &Templates::default());
        assert_ne!(empty, Choice::Filler, "an empty body is known");
        let unknown = choose(&root("POST", "/a", None), &Templates::default());
        assert_eq!(unknown, Choice::Filler);
    }

    #[test]
    fn all_texts_are_the_driver_s_and_share_memory() {
        let mut bodies = Bodies::new(9, Arc::default());
        let (short, long) = (bodies.text(10), bodies.text(300_000));
        assert_eq!(short, generate::text(10, 9));
        assert_eq!(long, generate::text(300_000, 9));
        assert_eq!(bodies.text(100_000).as_ptr(), long.as_ptr());
    }

    #[test]
    fn a_body_that_is_needed_again_is_made_once_and_the_cache_is_bounded() {
        let mut bodies = Bodies::new(1, Arc::default());
        let json = |size| root("POST", "/json/validate", Some(size));
        let first = bodies.body(&json(100), 0);
        let second = bodies.body(&json(100), 1);
        assert!(!first.is_shared && second.is_shared);
        assert_eq!(first.bytes.as_ptr(), second.bytes.as_ptr());
        assert_eq!(first.content_type.as_deref(), Some(JSON));
        for size in 0..10 {
            bodies.body(&json((10 << 20) + size), 0);
        }
        assert!(bodies.made_bytes <= CACHE_BYTES_MAX && !bodies.made.is_empty());
    }

    #[test]
    fn bodies_that_are_made_ahead_are_shared_from_the_first_request_on() {
        let sizes = [100, 200, 100, 60 << 20, 60 << 20 | 1, 300];
        let arrivals = sizes.map(|size| {
            Ok(Arrival {
                offset_ns: 0,
                copy: 0,
                root: root("POST", "/json/validate", Some(size)),
            })
        });
        let mut bodies = Bodies::new(1, Arc::default());
        bodies
            .make_ahead(arrivals.into_iter(), &AtomicBool::new(false))
            .unwrap();
        let is_shared = sizes.map(|size| bodies.made.contains_key(&(Recipe::Json, size as usize, None)));
        assert_eq!(
            is_shared,
            [true, true, true, true, false, false],
            "one more would empty the cache"
        );
    }
}
