//! Compares the server with the RFCs, for bytes of clients and of modules. Runs the checks
//! of the fuzz targets `requests` and `responses` on random input from a fixed seed, and on
//! every input in `tests/corpus`.

use crate::harness::wire::{requests, responses, tests};
use crate::harness::{Random, near_valid};

/// Number of random inputs. Each takes a fraction of a millisecond in the dev profile.
const CASES: usize = 10_000;

#[test]
fn what_clients_say_is_read_as_the_rfcs_say() {
    let host = requests::host();
    let mut random = Random::new(0x5eed);
    for _ in 0..CASES {
        requests::check(&host, &near_valid::requests(&mut random));
    }
}

#[test]
fn what_modules_say_is_sent_or_refused() {
    let host = responses::host();
    let mut random = Random::new(0x5eed);
    for _ in 0..CASES {
        responses::check(&host, &near_valid::response(&mut random));
    }
}

#[test]
fn what_fuzzing_has_found_stays_right() {
    let host = requests::host();
    kept("requests", |bytes| requests::check(&host, bytes));
    let host = responses::host();
    kept("responses", |bytes| responses::check(&host, bytes));
}

/// Checks each file of a folder of `tests/corpus`.
fn kept(folder: &str, check: impl Fn(&[u8])) {
    let files = std::fs::read_dir(tests().join("corpus").join(folder)).unwrap();
    let count = files.map(|file| check(&std::fs::read(file.unwrap().path()).unwrap())).count();
    assert!(count > 0, "nothing is kept for {folder}");
}
