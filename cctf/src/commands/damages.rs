//! [`show`], [`show_count`]: report the damaged lines of a run on standard error.

use analyze::stats::scan::Damages;
use cctf_proto::log_line;

use super::cells::{counted, printable};

/// Lists the first damaged lines.
pub fn show(damages: &Damages) {
    for damage in &damages.shown {
        let path = printable(&damage.path.to_string_lossy());
        log_line!("cctf: {path}:{}: {}", damage.line, damage.error);
    }
}

/// Prints the number of all damaged lines, if there are any.
pub fn show_count(count: u64) {
    if count > 0 {
        let lines = counted(count, "damaged line");
        let (are, them) = if count == 1 { ("is", "it") } else { ("are", "them") };
        log_line!(
            "cctf: {lines} {are} left out of the figures; cctf validate shows what is wrong with {them}"
        );
    }
}
