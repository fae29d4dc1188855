//! Solves small normal equations: [`inverse`] without bounds, [`non_negative`] with all values at least 0.
//!
//! The matrices have at most 34 columns, so the code is short and needs no crate of linear algebra.

/// Rows of a square matrix.
pub type Matrix = Vec<Vec<f64>>;

/// Minimum gradient at which a value leaves its bound of 0, as a share of the greatest element of the right-hand side
/// (`moments`).
const GRADIENT_MIN: f64 = 1e-12;

/// The Cholesky factor: the lower triangular matrix whose product with its own transpose is `matrix`. The matrix is positive
/// definite, because a ridge was added.
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
fn factor(matrix: &Matrix) -> Matrix {
    let size = matrix.len();
    let mut lower = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
            let rest = matrix[row][column] - known;
            lower[row][column] = match row == column {
                // Rounding errors must not make the value negative.
                true => rest.max(f64::EPSILON).sqrt(),
                false => rest / lower[column][column],
            };
        }
    }
    lower
}

#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
fn substitute(lower: &Matrix, right: &[f64]) -> Vec<f64> {
    let size = right.len();
    let mut solution = right.to_vec();
    for row in 0..size {
        let known: f64 = (0..row).map(|k| lower[row][k] * solution[k]).sum();
        solution[row] = (solution[row] - known) / lower[row][row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| lower[k][row] * solution[k]).sum();
        solution[row] = (solution[row] - known) / lower[row][row];
    }
    solution
}

/// The inverse of a symmetric positive definite matrix.
pub fn inverse(matrix: &Matrix) -> Matrix {
    let lower = factor(matrix);
    let unit = |column: usize| (0..matrix.len()).map(move |row| f64::from(u8::from(row == column)));
    (0..matrix.len())
        .map(|column| substitute(&lower, &unit(column).collect::<Vec<f64>>()))
        .collect()
}

/// The non-negative least-squares solution. It uses the active-set method of Lawson and Hanson (Solving Least Squares Problems,
/// 1974, chapter 23), applied to the normal equations (Bro and de Jong, Journal of Chemometrics 11, 1997).
pub fn non_negative(matrix: &Matrix, moments: &[f64]) -> Vec<f64> {
    let size = moments.len();
    let mut solution = vec![0.0; size];
    let mut is_free = vec![false; size];
    let greatest = moments
        .iter()
        .fold(0.0, |most: f64, moment| most.max(moment.abs()));
    // Each round frees one value. The method usually ends after about as many rounds as there are values.
    for _ in 0..3 * size {
        let gradient =
            |row: usize| moments[row] - matrix[row].iter().zip(&solution).map(|(a, b)| a * b).sum::<f64>();
        let bound = (0..size)
            .filter(|&row| !is_free[row])
            .map(|row| (gradient(row), row));
        let steepest = bound.max_by(|left, right| left.0.total_cmp(&right.0));
        let Some((_, row)) = steepest.filter(|(gradient, _)| *gradient > GRADIENT_MIN * greatest) else {
            break;
        };
        is_free[row] = true;
        descend(matrix, moments, &mut solution, &mut is_free);
    }
    solution
}

/// Moves to the solution for the free values. Values that would become negative return to the bound.
fn descend(matrix: &Matrix, moments: &[f64], solution: &mut [f64], is_free: &mut [bool]) {
    loop {
        let free: Vec<usize> = (0..solution.len()).filter(|&row| is_free[row]).collect();
        let part: Matrix = free
            .iter()
            .map(|&row| free.iter().map(|&column| matrix[row][column]).collect())
            .collect();
        let right: Vec<f64> = free.iter().map(|&row| moments[row]).collect();
        let wanted = substitute(&factor(&part), &right);
        let mut step = 1.0_f64;
        for (&row, &to) in free.iter().zip(&wanted) {
            if to <= 0.0 {
                let from = solution[row];
                step = step.min(if from > to { from / (from - to) } else { 0.0 });
            }
        }
        for (&row, &to) in free.iter().zip(&wanted) {
            solution[row] += step * (to - solution[row]);
            if to <= 0.0 && solution[row] <= f64::EPSILON {
                solution[row] = 0.0;
                is_free[row] = false;
            }
        }
        if step >= 1.0 || free.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn products(matrix: &Matrix, vector: &[f64]) -> Vec<f64> {
        let dot = |row: &Vec<f64>| row.iter().zip(vector).map(|(a, b)| a * b).sum();
        matrix.iter().map(dot).collect()
    }

    proptest! {
        /// The conditions of Karush, Kuhn and Tucker, which only the optimum fulfils.
        #[test]
        fn the_solution_is_optimal(entries in prop::collection::vec(-1.0..1.0_f64, 30), targets in prop::collection::vec(-1.0..1.0_f64, 6)) {
            let rows: Vec<&[f64]> = entries.chunks(5).collect();
            let mut matrix = vec![vec![0.0; 5]; 5];
            let mut moments = vec![0.0; 5];
            for (row, target) in rows.iter().zip(&targets) {
                for i in 0..5 {
                    moments[i] += row[i] * target;
                    for j in 0..5 {
                        matrix[i][j] += row[i] * row[j];
                    }
                }
            }
            for (index, row) in matrix.iter_mut().enumerate() {
                row[index] += 1e-3;
            }
            let solution = non_negative(&matrix, &moments);
            for (value, (moment, product)) in solution.iter().zip(moments.iter().zip(products(&matrix, &solution))) {
                let gradient = moment - product;
                prop_assert!(*value >= 0.0 && gradient < 1e-9 && (gradient * value).abs() < 1e-9, "{solution:?} {gradient}");
            }
        }
    }

    #[test]
    fn an_inverse_is_one() {
        let matrix = vec![vec![4.0, 1.0, 0.5], vec![1.0, 3.0, 0.2], vec![0.5, 0.2, 2.0]];
        for (index, column) in inverse(&matrix).iter().enumerate() {
            for (row, value) in products(&matrix, column).into_iter().enumerate() {
                let expected = if row == index { 1.0 } else { 0.0 };
                assert!((value - expected).abs() < 1e-12);
            }
        }
    }
}
