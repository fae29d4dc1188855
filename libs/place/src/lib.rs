//! Finds out where the modules of a recorded run should be: simulates placements, and ranks them with intervals.
//!
//! - [`tiers`]: nodes and links, from a file; [`machines`]: CPUs that nodes share; [`site`]: the recorded run; [`groups`]: the
//!   units that are placed.
//! - [`assignments`]: a node for each group; [`deployment`]: an assignment as the placement file of stand-ins; [`surroundings`]:
//!   an assignment as the platform of the simulator.
//! - [`arrivals`]: the recorded load, and further random loads; [`evaluation`]: one simulation; [`traffic`]: bytes on links,
//!   cost.
//! - [`events`]: migrations and scalings during the run.
//! - [`predictor`]: predicts one assignment; [`validity`]: reasons why nothing is predicted; [`calibration`]: the error on the
//!   recorded run.
//! - [`search`]: selects the assignments that are simulated; [`parallel`]: uses all cores; [`uncertainty`]: intervals and
//!   probabilities.
//! - [`ranking`]: ranks assignments; [`whatif`]: predicts one change; [`model`]: the results of both, for people and programs.
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
