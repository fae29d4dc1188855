//! [`Names`]: finds the modules of a run by the texts in the rows of calls.

use std::collections::BTreeMap;

use aggregate::ids::ModuleId;
use aggregate::peers::ModuleNames;

use crate::stats::cells::Key;
use crate::stats::instances::Instance;

/// The modules of a run. Rows of calls do not state the application, so the instances decide between modules of the same name.
#[derive(Debug, Default)]
pub struct Names {
    /// Modules with invocations.
    keys: Vec<Key>,
    /// For each name: the applications that have a module of this name, in the order of the modules.
    apps: BTreeMap<String, Vec<Option<String>>>,
    /// Whether any two modules of different applications have the same name.
    pub has_ambiguous: bool,
    /// Application of each instance, for modules whose name is not unique.
    instances: BTreeMap<(String, String), Option<String>>,
}

impl Names {
    /// Where names do not decide, the first one of `modules` wins. Their order must not depend on names, so that a run with other
    /// names, such as an anonymised one, has the same edges.
    pub fn new<'k>(modules: impl Iterator<Item = &'k Key>, instances: &[Instance]) -> Self {
        let mut names = Self::default();
        for key in modules {
            if let Some(module_id) = key.module_id.as_ref().filter(|_| !key.is_other) {
                names.keys.push(key.clone());
                let apps = names.apps.entry(module_id.clone()).or_default();
                apps.push(key.app_id.clone());
            }
        }
        names.has_ambiguous = names.apps.values().any(|apps| apps.len() > 1);
        for instance in instances {
            if names.is_ambiguous(&instance.module_id) {
                let id = (instance.module_id.clone(), instance.instance_id.clone());
                names.instances.insert(id, instance.app_id.clone());
            }
        }
        names
    }

    /// Whether modules of several applications have this name.
    pub fn is_ambiguous(&self, module_id: &str) -> bool {
        self.apps.get(module_id).is_some_and(|apps| apps.len() > 1)
    }

    /// The module of a calling instance. A module without invocations, such as the load driver, is also returned.
    pub fn caller(&self, module_id: String, instance_id: &str) -> Key {
        let apps = self.apps.get(&module_id);
        let only = apps
            .filter(|apps| apps.len() == 1)
            .and_then(|apps| apps.first().cloned());
        let by_instance = || {
            let id = (module_id.clone(), instance_id.to_owned());
            self.instances.get(&id).cloned()
        };
        Key {
            app_id: only.or_else(by_instance).flatten(),
            module_id: Some(module_id),
            ..Key::default()
        }
    }

    /// The module of this name from the view of a caller: the one of the caller's application, or else the first one.
    pub fn callee(&self, module_id: &str, app_id: Option<&str>) -> Option<Key> {
        let apps = self.apps.get(module_id)?;
        let own = apps.iter().find(|app| app.as_deref() == app_id);
        let app = own.or_else(|| apps.first())?;
        Some(Key {
            app_id: app.clone(),
            module_id: Some(module_id.to_owned()),
            ..Key::default()
        })
    }

    /// The module behind each peer. The rules are those of the inventory (`docs/cctf.md`).
    pub fn behind<'p>(&self, peers: impl Iterator<Item = (&'p str, Option<&'p str>)>) -> Vec<Option<Key>> {
        let numbered = (0..).zip(&self.keys);
        let names = ModuleNames::new(numbered.map(|(number, key)| {
            let module_id = key.module_id.as_deref().unwrap_or_default();
            (ModuleId::new(number), key.app_id.as_deref(), module_id)
        }));
        let key = |(peer, app_id): (&str, Option<&str>)| {
            let number = names.behind(peer, app_id)?;
            self.keys.get(number.index()).cloned()
        };
        peers.map(key).collect()
    }
}
