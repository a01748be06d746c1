//! Conditional requests and ranges, tested natively. `tests/conditional.rs` tests the same
//! rows through the server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod document;
mod table;

use handler_sdk::respond;
use table::{ROWS, missing, request};

#[test]
fn conditions_and_ranges_are_those_of_rfc_9110() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let bytes = request(row);
        let response = respond(bytes.as_bytes(), document::answer);
        let mut room = vec![0; response.encoded_len()];
        response.encode(&mut room).unwrap();
        let text = String::from_utf8(room).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let field = |name: &str| {
            let mut lines = head.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
        };
        let lacks = missing(row, response.status().code(), field, body, false);
        wrong.extend(lacks.into_iter().map(|lack| format!("{}: {lack}", row.0)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_is_long_and_its_names_differ() {
    let mut names: Vec<_> = ROWS.iter().map(|row| row.0).collect();
    assert!(names.len() >= 60, "{} rows", names.len());
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}
