//! The page of `cctf place`: one file without requests, and usable.

use serde_json::json;

use super::{check, file_url};
use crate::placements::Given;

#[test]
fn a_ranking_of_placements_is_a_usable_page() {
    let given = Given::new(40);
    let placed = given.place(&["--out", "placements"]);
    assert_eq!(placed.code, Some(0), "{placed:?}");
    let page = given.path("placements/ranking.html");
    check(&json!({
        "kind": "page",
        "url": file_url(&page),
        "charts": false,
        "texts": ["Placements of shop", "as recorded", "back=ep0", "CPUs of ep0, 8 cores"],
    }));
}
