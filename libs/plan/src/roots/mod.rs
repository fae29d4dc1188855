//! [`Roots`]: finds the requests, messages and jobs of a run that came from outside. It sorts them by time, in bounded memory.
//!
//! ```text
//! calls, invocations ─▶ rows without a    ─▶ joined by call ─▶ sorted by time ─▶ one file ─▶ selection ─▶ arrivals
//! of all parts          parent invocation    (join)            (read)            (file)
//!                       (rows)
//! ```
//!
//! There are two sorts of roots:
//!
//! 1. a call of the load driver or of another client that has no parent invocation. It is joined with the invocation that
//!    answered it, which can be anywhere in the run;
//! 2. an invocation that no recorded call and no other invocation caused.
//!
//! A failed request is a root, too, and a recorded retry is a root at its own time. A trace may have several roots.
//!
//! - An orphan is a row whose caller is missing: it has the flag `orphan`, or it names a call that is not in the run.
//! - A call without a parent can be a module's own work, such as a poll for messages: [`Kind::Background`]. This is the case if
//!   the module also processes requests, as `module_inventory.json` states.
//! - A call directly inside another call is not a root: the outer call is. An invocation that answers the inner call is joined
//!   with neither.
//! - If several rows have the same ids, the earliest one counts. If a call has several answers, it is joined with the earliest.
//! - Control spans have no rows, so they are not roots.
//!
//! [`Clues::kind`] has the rule for which roots can be sent. [`selection`] describes how a replay selects and scales them.
//!
//! Memory is bounded: [`cctf_sort`] sorts the rows with at most 48 MiB in memory and the rest in temporary files. The shared
//! texts of roots have a maximum size. Only disk space limits the length of a run.

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
