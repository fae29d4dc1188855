//! [`ModuleNames`]: finds the module that a call's peer names, for peers that never answered.

use std::collections::BTreeMap;

use crate::ids::ModuleId;

/// A run's modules by name, each with its application and number. Modules of one name are in the order of the input.
#[derive(Debug, Default)]
pub struct ModuleNames<'a>(BTreeMap<&'a str, Vec<(Option<&'a str>, ModuleId)>>);

impl<'a> ModuleNames<'a> {
    /// `modules` has the number, application and name of each module.
    pub fn new(modules: impl Iterator<Item = (ModuleId, Option<&'a str>, &'a str)>) -> Self {
        let mut names = Self::default();
        for (number, app_id, module_id) in modules {
            names.0.entry(module_id).or_default().push((app_id, number));
        }
        names
    }

    /// The module that a peer names, as seen by a caller of the application `app_id`. The peer may be the module's name, a host
    /// with or without a port, or a Kubernetes service. If several modules match, the one of the caller's application is used,
    /// or else the first of the list.
    pub fn behind(&self, peer: &str, app_id: Option<&str>) -> Option<ModuleId> {
        let host = host_of(peer);
        let of_app = |name: &str, app_id: Option<&str>| {
            let mut of_name = self.0.get(name)?.iter();
            of_name.find(|(app, _)| *app == app_id)
        };
        let named = |name: &str| of_app(name, app_id).or_else(|| self.0.get(name)?.first());
        let in_namespace = || {
            let (name, domain) = host.split_once('.')?;
            let (namespace, rest) = domain.split_once('.').unwrap_or((domain, ""));
            let of_namespace = of_app(name, Some(namespace));
            if rest == "svc" || rest.starts_with("svc.") {
                return of_namespace.or_else(|| named(name));
            }
            of_namespace.filter(|_| rest.is_empty())
        };
        let found = named(peer).or_else(|| named(host)).or_else(in_namespace);
        found.map(|(_, number)| *number)
    }
}

/// A peer's host, without port and without the final dot of an absolute domain name.
fn host_of(peer: &str) -> &str {
    let host = match peer.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => peer,
    };
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_the_module_of_its_name() {
        let names = ModuleNames::new(
            [
                (0, None, "cart"),
                (1, Some("shop"), "stock"),
                (2, Some("depot"), "stock"),
                (3, None, "orders:v1"),
                (4, None, "api"),
            ]
            .map(|(index, app_id, name)| (ModuleId::new(index), app_id, name))
            .into_iter(),
        );
        for (peer, app_id, module) in [
            ("cart", None, Some(0)),
            ("cart", Some("shop"), Some(0)),
            ("cart:8080", None, Some(0)),
            ("cart.:8080", None, Some(0)),
            ("cart.default.svc:8080", None, Some(0)),
            ("cart.default.svc.cluster.local", None, Some(0)),
            ("stock:80", Some("shop"), Some(1)),
            ("stock:80", Some("depot"), Some(2)),
            ("stock:80", None, Some(1)),
            ("stock.shop", None, Some(1)),
            ("stock.shop.svc.cluster.local:80", Some("depot"), Some(1)),
            ("orders:v1", None, Some(3)),
            ("orders", None, None),
            ("api.example.com:443", None, None),
            ("api.example", None, None),
            ("[::1]:80", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                names.behind(peer, app_id).map(ModuleId::index),
                module,
                "{peer} of {app_id:?}"
            );
        }
    }
}
