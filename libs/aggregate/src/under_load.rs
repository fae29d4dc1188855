//! [`slots_and_image`]: derives two fields of run_meta.json about the service under load, if the driver did not report them.

use std::collections::BTreeSet;

use cctf_proto::cctf::{Module, ModuleType};

/// The number of slots of an instance, and the image, of the service under load. The service consists of the modules that a
/// module without invocations, such as the load driver, calls. If none of them reports a value, the values of all modules are
/// used. `None` if the values differ.
pub fn slots_and_image<'m>(modules: &'m [Module<'_>]) -> (Option<u64>, Option<&'m str>) {
    let drivers = modules
        .iter()
        .filter(|module| module.module_type == ModuleType::Source && module.endpoints.is_none());
    let driven: BTreeSet<&str> = drivers
        .flat_map(|driver| driver.calls.iter().flatten())
        .map(|call| &*call.to)
        .collect();
    let is_driven = |module: &&Module<'_>| driven.contains(&*module.module_id);
    let slots = |module: &'m Module<'_>| {
        let instances = module.instances.iter().flatten();
        instances.filter_map(|instance| instance.workers)
    };
    let image = |module: &'m Module<'_>| module.image.as_deref();
    let slots_driven = modules.iter().filter(is_driven).flat_map(slots);
    let image_driven = modules.iter().filter(is_driven).filter_map(image);
    (
        agreed(slots_driven).unwrap_or_else(|| agreed(modules.iter().flat_map(slots)).flatten()),
        agreed(image_driven).unwrap_or_else(|| agreed(modules.iter().filter_map(image)).flatten()),
    )
}

/// The value that all have in common. `None` if there is no value; `Some(None)` if the values differ.
fn agreed<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<Option<T>> {
    let first = values.next()?;
    let is_same = values.all(|value| value == first);
    Some(is_same.then_some(first))
}
