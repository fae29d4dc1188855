//! [`Operation`]: the fields of a row that state what was called. They follow from the type of the call and its interface, by the
//! table in `docs/convert.md`.

use cctf_normalizer::mapping::service_and_method;

use super::rows::Kind;

/// Route of a call over HTTP without an interface, because a row with the protocol HTTP needs a method, a path or a route.
const UNKNOWN_ROUTE: &str = "unknown";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operation<'n> {
    pub protocol: Option<&'static str>,
    pub method: Option<&'n str>,
    pub path: Option<&'n str>,
    pub route: Option<&'n str>,
    /// Receiver of a call whose callee has no name.
    pub system: Option<&'static str>,
}

impl<'n> Operation<'n> {
    /// `interface` is empty if it is missing.
    pub fn new(kind: Kind, interface: &'n str) -> Self {
        let named = Some(interface).filter(|interface| !interface.is_empty());
        let of_store = |system| Self {
            protocol: Some("db"),
            method: named,
            system: Some(system),
            ..Self::default()
        };
        match kind {
            Kind::Rpc => {
                let whole = named.and_then(service_and_method);
                Self {
                    protocol: Some("rpc"),
                    method: whole.map(|(_, method)| method).or(named),
                    path: whole.map(|(service, _)| service),
                    ..Self::default()
                }
            }
            Kind::Http => Self {
                protocol: Some("http"),
                route: named.or(Some(UNKNOWN_ROUTE)),
                ..Self::default()
            },
            Kind::Database => of_store("db"),
            Kind::Cache => of_store("mc"),
            Kind::Message => Self {
                protocol: Some("messaging"),
                method: Some("process"),
                ..Self::default()
            },
            Kind::Other => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_decides_what_an_interface_is() {
        let rpc = Operation::new(Kind::Rpc, "shop.Stock/Reserve");
        assert_eq!((rpc.method, rpc.path), (Some("Reserve"), Some("shop.Stock")));
        assert_eq!(Operation::new(Kind::Rpc, "").method, None);
        assert_eq!(Operation::new(Kind::Http, "/buy").route, Some("/buy"));
        assert_eq!(Operation::new(Kind::Http, "").route, Some(UNKNOWN_ROUTE));
        let cache = Operation::new(Kind::Cache, "get");
        assert_eq!((cache.method, cache.system), (Some("get"), Some("mc")));
        assert_eq!(Operation::new(Kind::Other, "x"), Operation::default());
    }
}
