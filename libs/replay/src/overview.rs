//! [`Overview`]: counts of a plan's requests, before the first one is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cctf_load::http::request::PATH_BYTES_MAX;
use plan::roots::{Arrival, Orphans, Root, RootsError, Survey, Unsent};

use crate::bodies::templates::Templates;
use crate::bodies::{Choice, choose};
use crate::keys::Keys;
use crate::targets::Targets;

/// Maximum number of endpoints with filler that are listed. A user writes templates for a few only.
const FILLERS_MAX: usize = 100;
/// Maximum number of modules to which one replay sends. A user may have to name a target for each.
pub const MODULES_MAX: usize = 1_000;

// The limits of the plan must be equal to those of the driver.
const _: () = assert!(
    plan::roots::PATH_BYTES_MAX == PATH_BYTES_MAX
        && plan::roots::BODY_BYTES_MAX == cctf_load::plan::payload::SIZE_BYTES_MAX as u64
);

/// Counts of a plan's requests, by how the driver treats them.
#[derive(Debug, Default)]
pub struct Overview {
    /// Requests that are sent.
    pub requests: u64,
    /// Requests that are not sent because their body is too large.
    pub too_large: u64,
    /// Requests that are not sent because path and query are too long.
    pub too_long: u64,
    /// Requests whose body is filler, by method and route or path.
    pub fillers: BTreeMap<(Arc<str>, Arc<str>), u64>,
    /// Number of all requests whose body is filler.
    pub filler: u64,
    /// Requests whose template gives another body size than the recorded one.
    pub unlike_size: u64,
    /// Requests whose body size was not recorded, and is not given by a template.
    pub unknown_size: u64,
    /// Number of requests for each template.
    pub by_template: Vec<u64>,
    pub modules: BTreeSet<String>,
    /// Requests to modules that are not among the first [`MODULES_MAX`].
    pub beyond_modules: u64,
    pub keys: Keys,
    /// Counts of the requests that are sent. A root that is sent twice counts twice.
    pub sent: Survey,
}

/// The reason for which the driver does not send a root, if there is one.
pub fn unsent(root: &Root) -> Option<Unsent> {
    let path = root.path.as_deref().map_or(0, str::len);
    plan::roots::unsent(root.body_bytes, path, root.query.as_deref().map(str::len))
}

impl Overview {
    /// Counts all requests of a plan.
    ///
    /// # Errors
    /// If the plan cannot be read.
    pub fn of(
        arrivals: impl Iterator<Item = Result<Arrival, RootsError>>,
        targets: &Targets,
        templates: &Templates,
        seed: u64,
    ) -> Result<Self, RootsError> {
        let mut overview = Self {
            by_template: vec![0; templates.len()],
            // Orphans count like other roots, because the plan no longer contains the orphans that are not sent.
            sent: Survey::new(Orphans::Root),
            ..Self::default()
        };
        for arrival in arrivals {
            overview.add(&arrival?.root, targets, templates, seed);
        }
        Ok(overview)
    }

    fn add(&mut self, root: &Root, targets: &Targets, templates: &Templates, seed: u64) {
        match unsent(root) {
            Some(Unsent::TooLarge) => self.too_large += 1,
            Some(Unsent::TooLong) => self.too_long += 1,
            None => self.add_sent(root, targets, templates, seed),
        }
    }

    fn add_sent(&mut self, root: &Root, targets: &Targets, templates: &Templates, seed: u64) {
        let index = self.requests;
        self.requests += 1;
        self.sent.add(root);
        if !self.modules.contains(&*root.module) {
            if self.modules.len() < MODULES_MAX {
                self.modules.insert(root.module.to_string());
            } else {
                self.beyond_modules += 1;
            }
        }
        if let Some(target) = targets.of_module(&root.module) {
            self.keys.add(root, target);
        }
        match choose(root, templates) {
            Choice::None => {}
            Choice::Endpoint(_) => self.add_unknown_size(root),
            Choice::Filler => {
                self.add_unknown_size(root);
                self.add_filler(root);
            }
            Choice::Template(number) => {
                if let Some(count) = self.by_template.get_mut(number) {
                    *count += 1;
                }
                let rendered = templates
                    .get(number)
                    .map(|template| template.render(index, root.body_bytes, seed));
                self.unlike_size += u64::from(rendered.is_some_and(|(_, is_of_size)| !is_of_size));
            }
        }
    }

    fn add_unknown_size(&mut self, root: &Root) {
        self.unknown_size += u64::from(root.body_bytes.is_none());
    }

    fn add_filler(&mut self, root: &Root) {
        self.filler += 1;
        let (Some(method), Some(shape)) = (&root.method, root.shape()) else {
            return;
        };
        let name = (Arc::clone(method), Arc::clone(shape));
        let is_full = self.fillers.len() >= FILLERS_MAX;
        match self.fillers.get_mut(&name) {
            Some(count) => *count += 1,
            None if is_full => {}
            None => {
                self.fillers.insert(name, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root;

    fn overview(roots: Vec<Root>, targets: &[&str]) -> Overview {
        let flags: Vec<_> = targets.iter().map(|target| target.parse().unwrap()).collect();
        let arrivals = roots.into_iter().map(|root| {
            Ok(Arrival {
                offset_ns: 0,
                copy: 0,
                root,
            })
        });
        Overview::of(arrivals, &Targets::new(&flags).unwrap(), &Templates::default(), 1).unwrap()
    }

    #[test]
    fn each_request_is_counted_by_what_becomes_of_it() {
        let long = format!("/{}", "p".repeat(4_000));
        let long_query = Root {
            query: Some("q".repeat(3_000).into()),
            ..root("GET", &long, None)
        };
        let found = overview(
            vec![
                root("POST", "/json/validate", Some(10)),
                root("POST", "/json/validate", None),
                root("GET", "/json/validate", None),
                root("POST", "/checkout", Some(10)),
                root("POST", "/checkout", None),
                root("POST", "/checkout", Some(65 << 20)),
                root("GET", &long, None),
                long_query,
            ],
            &["http://127.0.0.1:1"],
        );
        assert_eq!((found.requests, found.too_large, found.too_long), (6, 1, 1));
        assert_eq!((found.filler, found.unknown_size), (2, 2));
        let fillers: Vec<_> = found
            .fillers
            .iter()
            .map(|((method, path), count)| (&**method, &**path, *count))
            .collect();
        assert_eq!(fillers, [("POST", "/checkout", 2)]);
        assert_eq!(found.modules.iter().collect::<Vec<_>>(), ["svc"]);
        assert_eq!(found.beyond_modules, 0);
    }

    #[test]
    fn requests_to_modules_beyond_the_maximum_are_counted() {
        let of_module = |number: usize| Root {
            module: format!("m{number}").into(),
            ..root("GET", "/", None)
        };
        let numbers = (0..MODULES_MAX + 2).chain([0, MODULES_MAX]);
        let found = overview(numbers.map(of_module).collect(), &[]);
        assert_eq!((found.modules.len(), found.beyond_modules), (MODULES_MAX, 3));
    }
}
