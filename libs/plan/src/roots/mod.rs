//! [`Roots`]: the requests, messages and jobs of a run that came from outside, in order of their time and in bounded memory.
//!
//! ```text
//! calls, invocations ─▶ rows without ─▶ joined by call ─▶ sorted by time ─▶ one file ─▶ selection ─▶ arrivals
//! of all parts          an invocation   (join)            (read)            (file)
//!                       above (rows)
//! ```
//!
//! A root is (1) a call of the load driver or of another client without an invocation above it, joined with the invocation
//! that answered it, wherever in the run that is; or (2) an invocation that neither an invocation nor a call caused. A root that
//! failed at its caller is a root. A recorded retry is one, at its own time. A trace may have several.
//!
//! - An orphan is a row whose caller is missing: it has the flag, or it names a call that the run does not have.
//! - A call without parent of a module that also processes requests, such as a poll for messages, is the module's own work:
//!   [`Kind::Background`]. Which modules do so is in `module_inventory.json`.
//! - A call directly inside another call is not a root; the outer one is. Its answer belongs to neither.
//! - Of rows with the same ids, the earliest counts. Of several answers to one call, the earliest is joined.
//! - Control spans have no rows, and so they are not roots.
//!
//! [`Clues::kind`] has the rule by which a root can be sent, [`selection`] what a replay makes of the roots.
//!
//! Memory is bounded: rows are sorted in [`cctf_sort`], 48 MiB at once and the rest in temporary files, and the texts that
//! roots share have a bound in bytes. Only disk space limits the length of a run.

pub mod arrivals;
mod clues;
mod codec;
pub mod error;
pub mod factor;
mod file;
mod join;
pub mod kind;
mod peers;
mod read;
pub mod root;
mod rows;
pub mod selection;
pub mod survey;

pub use arrivals::{Arrival, Arrivals};
pub use clues::{BODY_BYTES_MAX, Clues, PATH_BYTES_MAX, Unsent, unsent};
pub use error::{RootsError, SelectionError};
pub use factor::Factor;
pub use file::Iter;
pub use join::JoinCounts;
pub use kind::{Evidence, Kind};
pub use read::{Damage, Roots, size};
pub use root::{Origin, Receivers, Root};
pub use rows::Role;
pub use selection::{By, Plan, Preview, Selection};
pub use survey::{Bodies, Endpoint, Orphans, Survey};
