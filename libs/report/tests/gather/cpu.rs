//! Estimated CPU times of endpoints. The run's inventory contains them.

use super::run::{Folder, Invocation};

#[test]
fn estimated_cpu_times_are_those_of_the_inventory() {
    let folder = Folder::new();
    folder.invocations(&[Invocation::default()]);
    let endpoint = |route: &str, more: &str| {
        format!(r#"{{"method":"GET","route":"{route}","calls":9,"cpu_ms_mean":2.5{more}}}"#)
    };
    let interval = r#","cpu_ms_low":2.4,"cpu_ms_high":2.75"#;
    let endpoints = [
        endpoint("/a", &format!(r#","cpu_src":"regressed"{interval}"#)),
        endpoint("/measured", interval),
        endpoint("/no-interval", r#","cpu_src":"regressed""#),
    ];
    folder.write(
        "module_inventory.json",
        &format!(
            r#"[{{"app_id":"shop","module_id":"m","name":"m","type":"MODULE","resources":null,"endpoints":[{}]}}]"#,
            endpoints.join(",")
        ),
    );
    let found = folder.gather().cpu_estimates;
    let [(key, estimate)] = Vec::from_iter(&found)[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (
            key.app_id.as_deref(),
            key.module_id.as_deref(),
            key.route.as_deref()
        ),
        (Some("shop"), Some("m"), Some("/a"))
    );
    assert_eq!(
        (estimate.mean_ns, estimate.low_ns, estimate.high_ns),
        (2_500_000.0, 2_400_000.0, 2_750_000.0)
    );
    folder.write("module_inventory.json", "[");
    assert!(folder.gather().cpu_estimates.is_empty());
}
