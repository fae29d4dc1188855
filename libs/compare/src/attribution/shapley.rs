//! [`values`]: the Shapley values of a game, from the value of each set of players.

/// The contribution of each player, averaged over all orders in which players can join. `sets[s]` is the value of the players
/// whose bits are set in `s`, so there are 2^n sets. The contributions add up to the value of all players minus the value of
/// none.
pub fn values(sets: &[f64]) -> Vec<f64> {
    let players = sets.len().trailing_zeros();
    let weights = weights(players);
    let value = |player: u32| {
        let without = (0..sets.len()).filter(|set| set & (1 << player) == 0);
        without
            .map(|set| weights[set.count_ones() as usize] * (sets[set | (1 << player)] - sets[set]))
            .sum()
    };
    (0..players).map(value).collect()
}

/// The share of orders in which a given player joins right after a given set of players, by the size of this set.
fn weights(players: u32) -> Vec<f64> {
    let factorial = |number: u32| (1..=number).map(f64::from).product::<f64>();
    (0..players)
        .map(|before| factorial(before) * factorial(players - before - 1) / factorial(players))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Computes the values by their definition: the mean over all orders.
    fn by_orders(sets: &[f64], players: usize) -> Vec<f64> {
        fn orders(left: Vec<usize>, order: &mut Vec<usize>, on_order: &mut dyn FnMut(&[usize])) {
            if left.is_empty() {
                return on_order(order);
            }
            for &player in &left {
                order.push(player);
                orders(
                    left.iter().copied().filter(|other| *other != player).collect(),
                    order,
                    on_order,
                );
                order.pop();
            }
        }
        let (mut sums, mut count) = (vec![0.0; players], 0.0);
        orders((0..players).collect(), &mut Vec::new(), &mut |order| {
            let mut set = 0;
            for &player in order {
                sums[player] += sets[set | 1 << player] - sets[set];
                set |= 1 << player;
            }
            count += 1.0;
        });
        sums.iter().map(|sum| sum / count).collect()
    }

    proptest! {
        #[test]
        fn values_are_the_mean_over_all_orders(players in 0..5_usize, values in prop::collection::vec(-10.0..10.0, 16)) {
            let sets = &values[..1 << players];
            let found = super::values(sets);
            for (found, expected) in found.iter().zip(by_orders(sets, players)) {
                prop_assert!((found - expected).abs() < 1e-9);
            }
            let sum: f64 = found.iter().sum();
            prop_assert!((sum - (sets[sets.len() - 1] - sets[0])).abs() < 1e-9);
        }
    }

    #[test]
    fn a_player_that_changes_nothing_gets_nothing() {
        assert_eq!(values(&[1.0, 3.0, 1.0, 3.0]), [2.0, 0.0]);
    }
}
