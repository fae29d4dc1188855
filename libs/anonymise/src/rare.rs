//! [`Endpoints`]: counts invocations by endpoint, to list endpoints with few of them. A person who knows the application can
//! recognise a rare endpoint.

use cctf_proto::cctf::{Replacer as _, Treatment, Untreatable};
use foldhash::HashMap;
use plan::shape::shape_of;
use serde::Serialize;

use crate::replacer::Anonymiser;

/// Maximum number of endpoints that are counted. For further endpoints only the sum of their rows is counted.
const ENDPOINTS_MAX: usize = 100_000;
/// Maximum number of rare endpoints that are listed in the summary.
const RARE_SHOWN_MAX: usize = 1_000;

/// Module, method, and route (or the path without its ids).
type Name = (String, Option<String>, Option<String>);

/// Numbers of invocations by endpoint.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// Positions in `counted` by [`Endpoints::key`].
    numbers: HashMap<Box<str>, usize>,
    /// Endpoints and their counts, in the order of their first rows.
    counted: Vec<(Name, u64)>,
    uncounted: u64,
    /// Module, method and path of the last row as one text. This is a field, so that each row reuses its memory.
    key: String,
}

/// An endpoint with fewer calls than the user's minimum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RareEndpoint {
    pub module: String,
    pub method: Option<String>,
    pub endpoint: Option<String>,
    pub calls: u64,
    /// The module's name in the new files.
    pub anonymised_module: String,
    /// The endpoint in the new files. Ids in its path are shown as `*`.
    pub anonymised_endpoint: Option<String>,
}

/// The endpoints with few calls.
#[derive(Debug, Default, Serialize)]
pub struct RareEndpoints {
    /// Endpoints with fewer invocations than this are rare.
    pub below: u64,
    /// Number of all rare endpoints.
    pub endpoints: u64,
    /// The first 1,000 rare endpoints, sorted by number of calls, then by first appearance.
    pub shown: Vec<RareEndpoint>,
    /// Number of rows whose endpoints were not counted, because there were more than 100,000 endpoints.
    pub uncounted_rows: u64,
}

impl Endpoints {
    pub fn add(&mut self, (module, method, place): (&str, Option<&str>, Option<&str>)) {
        let place = place.map(shape_of);
        self.key.clear();
        for part in [Some(module), method, place.as_deref()] {
            // An absent part differs from an empty one.
            self.key.push_str(if part.is_some() { "\n+" } else { "\n-" });
            self.key.push_str(part.unwrap_or_default());
        }
        if let Some(&number) = self.numbers.get(self.key.as_str()) {
            self.counted[number].1 += 1;
        } else if self.counted.len() < ENDPOINTS_MAX {
            let name = (
                module.to_owned(),
                method.map(str::to_owned),
                place.map(|place| place.into_owned()),
            );
            self.numbers.insert(self.key.as_str().into(), self.counted.len());
            self.counted.push((name, 1));
        } else {
            self.uncounted += 1;
        }
    }

    /// The endpoints with fewer than `below` calls.
    ///
    /// # Errors
    /// Never for the treatments of names and paths.
    pub fn rare(self, below: u64, by: &mut Anonymiser) -> Result<RareEndpoints, Untreatable> {
        let mut rare: Vec<_> = self
            .counted
            .into_iter()
            .filter(|(_, calls)| *calls < below)
            .collect();
        rare.sort_by_key(|(_, calls)| *calls);
        let endpoints = rare.len() as u64;
        rare.truncate(RARE_SHOWN_MAX);
        let counts = by.replaced().clone();
        let mut shown = Vec::with_capacity(rare.len());
        for ((module, method, endpoint), calls) in rare {
            let anonymised_endpoint = match &endpoint {
                Some(endpoint) => Some(replacement(by, Treatment::Path, endpoint)?),
                None => None,
            };
            shown.push(RareEndpoint {
                anonymised_module: replacement(by, Treatment::Name, &module)?,
                anonymised_endpoint,
                module,
                method,
                endpoint,
                calls,
            });
        }
        by.restore(counts);
        Ok(RareEndpoints {
            below,
            endpoints,
            shown,
            uncounted_rows: self.uncounted,
        })
    }
}

/// The replacement of a text, without quotes. It contains no character that JSON escapes. The `*` of an id stays.
fn replacement(by: &mut Anonymiser, treatment: Treatment, text: &str) -> Result<String, Untreatable> {
    let mut out = String::new();
    for (index, part) in text.split('*').enumerate() {
        if index > 0 {
            out.push('*');
        }
        let mut json = Vec::new();
        by.text(treatment, "", part, &mut json)?;
        out.push_str(String::from_utf8_lossy(&json).trim_matches('"'));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn rare_endpoints_are_ordered_by_calls_then_by_appearance() {
        let mut endpoints = Endpoints::default();
        for path in [
            "/z", "/a", "/often", "/z", "/users/1", "/users/2", "/users/3", "/often", "/often",
        ] {
            endpoints.add(("shop", Some("GET"), Some(path)));
        }
        endpoints.add(("shop", None, None));
        let key = Key::new(&(0..32).collect::<Vec<u8>>());
        let mut by = Anonymiser::new(&key);
        let rare = endpoints.rare(3, &mut by).unwrap();
        let names: Vec<_> = rare
            .shown
            .iter()
            .map(|rare| (rare.endpoint.as_deref(), rare.calls))
            .collect();
        assert_eq!(names, [(Some("/a"), 1), (None, 1), (Some("/z"), 2)]);
        assert_eq!((rare.endpoints, rare.uncounted_rows), (3, 0));
        assert_eq!(by.replaced().names, 0);
        let mut path = Vec::new();
        by.text(Treatment::Path, "", "/a", &mut path).unwrap();
        let shown = rare.shown[0].anonymised_endpoint.as_deref().unwrap();
        assert_eq!(format!("{shown:?}").as_bytes(), path);
    }
}
