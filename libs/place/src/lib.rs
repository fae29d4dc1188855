//! Where should the modules of a recorded run be? Placements, each simulated, with intervals, and ranked.
//!
//! - [`tiers`]: nodes and links, from a file; [`machines`]: CPUs that nodes share; [`site`]: the recorded run; [`groups`]: what is
//!   placed.
//! - [`assignments`]: a node for each group; [`deployment`]: an assignment as the placement file of stand-ins; [`surroundings`]: that as
//!   the platform of the simulator.
//! - [`arrivals`]: the recorded load, and further ones by chance; [`evaluation`]: one simulation; [`traffic`]: bytes on links, cost.
//! - [`events`]: migrations and scalings during the run.
//! - [`predictor`]: all of it for one assignment; [`validity`]: what is no prediction; [`calibration`]: the error on the recorded run.
//! - [`search`]: which assignments are simulated; [`parallel`]: on all cores; [`uncertainty`]: intervals and probabilities.
//! - [`ranking`]: the assignments, ranked; [`whatif`]: one change; [`model`]: both for people and programs.
//! - [`strategy`]: programs that propose assignments.

pub mod arrivals;
pub mod assignments;
pub mod calibration;
pub mod deployment;
pub mod evaluation;
pub mod events;
pub mod groups;
mod machines;
pub mod model;
mod parallel;
pub mod predictor;
pub mod ranking;
pub mod search;
pub mod site;
pub mod strategy;
pub mod surroundings;
pub mod tiers;
pub mod traffic;
pub mod uncertainty;
mod validity;
pub mod whatif;
