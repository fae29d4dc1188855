//! Tests of [`factors`], which computes CPU times for nodes of another speed.

use std::collections::HashMap;

use replay::stand_in::speeds::factors;
use standin::StandIns;

use crate::made::{chain, probe_of, stand_ins};

/// Factors of front and cart. Both are on node `n`.
fn found(stand_ins: &StandIns, recorded: Option<f64>, speeds: &[Option<f64>]) -> Result<Vec<f64>, String> {
    let roots = chain(&["front", "cart"]);
    let recorded: HashMap<String, f64> = recorded.map(|mips| ("n".to_owned(), mips)).into_iter().collect();
    let instances = stand_ins.instances().iter().zip(speeds);
    let probes: Vec<_> = instances
        .map(|(instance, mips)| probe_of(instance, Some(1), "held", *mips))
        .collect();
    factors(&roots, &[true, true], &recorded, stand_ins, &probes).map_err(|error| error.to_string())
}

#[test]
fn work_is_kept_by_the_ratio_of_speeds() {
    let two = stand_ins(&[("front", "front-1"), ("cart", "cart-1")]);
    let factors = found(&two, Some(1000.0), &[Some(500.0), Some(2000.0)]).unwrap();
    assert_eq!(factors, [2.0, 0.5]);
}

#[test]
fn an_unknown_speed_is_named() {
    let two = stand_ins(&[("front", "front-1"), ("cart", "cart-1")]);
    let error = found(&two, None, &[Some(1.0), Some(1.0)]).unwrap_err();
    assert!(error.contains("no mips_per_core of its node \"n\""), "{error}");
    for speed in [None, Some(0.0), Some(f64::NAN)] {
        let error = found(&two, Some(1.0), &[Some(1.0), speed]).unwrap_err();
        assert!(
            error.contains("\"cart\": the stand-in at http://127.0.0.1:40002 has no speed"),
            "{error}"
        );
    }
}

#[test]
fn stand_ins_that_take_turns_need_one_speed() {
    let turns = stand_ins(&[("front", "x"), ("front", "y"), ("cart", "cart-1")]);
    let error = found(&turns, Some(1.0), &[Some(1.0), Some(2.0), Some(1.0)]).unwrap_err();
    assert!(error.contains("take turns, but have different speeds"), "{error}");
    assert!(found(&turns, Some(1.0), &[Some(2.0), Some(2.0), Some(1.0)]).is_ok());
}
