//! Stand-ins for the instances of a recorded run: which ones, where they run, over which links, and how they start.
//!
//! - [`recording`]: modules, nodes and links of the recorded run.
//! - [`placement`]: the user's file that changes them; [`error`]: what is invalid in it.
//! - [`placed`]: the stand-ins that result, each a [`stand_in`].
//! - [`figures`]: delay and rate of links; [`pairs`]: the nodes that call each other; [`links`]: the network of the stand-ins; [`ways`]: those that calls take.
//! - [`launch`]: their processes, and the files with their addresses.

pub mod error;
pub mod figures;
pub mod launch;
mod links;
mod pairs;
pub mod placed;
pub mod placement;
pub mod recording;
pub mod stand_in;
#[cfg(test)]
mod tests;
pub mod ways;

pub use error::PlacementError;
pub use placed::Placed;
pub use placement::Placement;
pub use recording::Recording;
pub use stand_in::StandIn;
