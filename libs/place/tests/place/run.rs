//! [`poisson`]: random requests; [`site`]: a run as predictions read it.

#[path = "../support/shop.rs"]
mod shop;

use std::path::Path;

use cctf_load::plan::random::SplitMix64;
use cctf_stack::stand_ins::Recording;
use place::site::{Site, SiteError};
use plan::plan::{Plan, Regressed, Window, read};
use rundir::parts::Target;

pub use shop::{MS, Shop, node};

/// Poisson arrivals at a utilisation of `rho` of one slot, and exponential services with a mean of 4 ms.
pub fn poisson(count: usize, rho: f64, seed: u64) -> Shop {
    let mut random = SplitMix64::new(seed);
    let mut exponential = |mean: f64| (-random.next_unit().ln() * mean).round().max(1.0) as i64;
    let mut at = 0;
    let requests = (0..count).map(|_| {
        at += exponential(4e6 / rho);
        (at, exponential(4e6))
    });
    Shop::of(requests.collect())
}

/// Reads what a shop has written.
pub fn site(shop: &Shop) -> Result<Site, SiteError> {
    let logs = tempfile::tempdir().unwrap();
    shop.write(logs.path());
    read_site(&logs.path().join("shop"))
}

fn read_site(folder: &Path) -> Result<Site, SiteError> {
    let (run, part) = Target::Folder(folder.to_owned()).find().unwrap().unwrap();
    let (recorded, span) = read(&run, &part, Window::default(), &mut |_| {}).unwrap();
    let plan = Plan::new(recorded, span, &Regressed::default());
    assert_eq!(plan.counts.deviating(), 0, "{:?}", plan.counts);
    Site::new(&plan, Recording::read(&run, &part).unwrap().unwrap())
}
