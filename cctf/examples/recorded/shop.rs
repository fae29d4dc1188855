//! The shop: [`NODES`], [`MODULES`] and [`ROUTES`].

use cctf_proto::cctf::Stage;

/// Name of the module and instance that send the requests.
pub const DRIVER: &str = "driver";

pub struct Place {
    pub name: &'static str,
    pub stage: Stage,
    pub cpus: u64,
}

/// The nodes. The last one is the driver's.
pub const NODES: [Place; 4] = [
    Place {
        name: "edge0",
        stage: Stage::Edge,
        cpus: 32,
    },
    Place {
        name: "cloud0",
        stage: Stage::Cloud,
        cpus: 64,
    },
    Place {
        name: "cloud1",
        stage: Stage::Cloud,
        cpus: 64,
    },
    Place {
        name: "driver0",
        stage: Stage::Unknown,
        cpus: 4,
    },
];

pub struct Service {
    pub name: &'static str,
    pub instances: [&'static str; 2],
    /// Index of its node.
    pub node: usize,
    pub peer: &'static str,
    /// Whether its rows have CPU times.
    pub reports_cpu: bool,
    pub is_called_only: bool,
}

pub const MODULES: [Service; 6] = [
    Service {
        name: "front",
        instances: ["front-1", "front-2"],
        node: 0,
        peer: "edge0:8080",
        reports_cpu: true,
        is_called_only: false,
    },
    Service {
        name: "catalog",
        instances: ["catalog-1", "catalog-2"],
        node: 1,
        peer: "cloud0:8081",
        reports_cpu: true,
        is_called_only: false,
    },
    Service {
        name: "cart",
        instances: ["cart-1", "cart-2"],
        node: 1,
        peer: "cloud0:8082",
        reports_cpu: true,
        is_called_only: false,
    },
    Service {
        name: "payment",
        instances: ["payment-1", "payment-2"],
        node: 2,
        peer: "cloud1:8083",
        reports_cpu: false,
        is_called_only: false,
    },
    Service {
        name: "stock",
        instances: ["stock-1", "stock-2"],
        node: 2,
        peer: "cloud1:8084",
        reports_cpu: true,
        is_called_only: true,
    },
    Service {
        name: "ledger",
        instances: ["ledger-1", "ledger-2"],
        node: 2,
        peer: "cloud1:8085",
        reports_cpu: true,
        is_called_only: true,
    },
];

/// An invocation of a module, and the calls that it makes one after the other.
pub struct Hop {
    /// Index of the module.
    pub module: usize,
    /// Median of its own work.
    pub own_us: f64,
    pub calls: &'static [Hop],
}

pub struct Route {
    pub method: &'static str,
    pub route: &'static str,
    /// The path, or the part of it before an id.
    pub prefix: &'static str,
    pub has_id: bool,
    pub weight: u64,
    pub hop: Hop,
}

const fn hop(module: usize, own_us: f64, calls: &'static [Hop]) -> Hop {
    Hop {
        module,
        own_us,
        calls,
    }
}

pub static ROUTES: [Route; 4] = [
    Route {
        method: "GET",
        route: "/",
        prefix: "/",
        has_id: false,
        weight: 40,
        hop: hop(0, 900.0, &[hop(1, 1200.0, &[])]),
    },
    Route {
        method: "GET",
        route: "/items/{id}",
        prefix: "/items/",
        has_id: true,
        weight: 35,
        hop: hop(0, 700.0, &[hop(1, 1500.0, &[hop(4, 600.0, &[])])]),
    },
    Route {
        method: "POST",
        route: "/cart/{id}",
        prefix: "/cart/",
        has_id: true,
        weight: 15,
        hop: hop(
            0,
            800.0,
            &[hop(2, 2000.0, &[hop(1, 800.0, &[hop(4, 500.0, &[])])])],
        ),
    },
    Route {
        method: "POST",
        route: "/checkout",
        prefix: "/checkout",
        has_id: false,
        weight: 10,
        hop: hop(
            0,
            1500.0,
            &[
                hop(2, 1200.0, &[]),
                hop(3, 4000.0, &[hop(5, 2500.0, &[])]),
                hop(4, 900.0, &[]),
            ],
        ),
    },
];
