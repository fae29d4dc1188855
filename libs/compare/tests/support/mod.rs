//! [`Random`]: the random numbers of the tests of `analyze`, with normal and lognormal numbers in addition. Tests and an
//! example use it.

#[path = "../../../analyze/tests/support/random.rs"]
mod random;

pub use random::Random;

impl Random {
    /// A standard normal number, by the method of Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A lognormal number with this mean and coefficient of variation.
    pub fn lognormal(&mut self, mean: f64, cv: f64) -> f64 {
        let variance = (1.0 + cv * cv).ln();
        mean * (variance.sqrt() * self.normal() - variance / 2.0).exp()
    }
}
