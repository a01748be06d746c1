//! However a connection's bytes are cut into segments, the responses and the end are the
//! same. The conversations are the inputs that fuzzing has kept: pipelines, bodies of
//! either framing, trailers and faults.

use std::fs;
use std::thread;

use crate::harness::Random;
use crate::harness::wire::{Host, requests, tests};

/// Longest conversation in bytes that is cut at every place. Longer ones are few.
const LENGTH_MAX: usize = 1000;

/// Number of conversations that are cut into many segments.
const CASES: usize = 1000;

/// Most segments of these.
const SEGMENTS_MAX: usize = 16;

/// Number of servers, each on a thread of its own.
const THREADS: usize = 2;

#[test]
fn two_segments_are_read_as_one_wherever_they_are_cut() {
    let conversations = conversations();
    let part = conversations.len().div_ceil(THREADS);
    thread::scope(|scope| {
        for conversations in conversations.chunks(part) {
            scope.spawn(move || {
                let host = requests::host();
                for bytes in conversations {
                    let whole = said(&host, &[bytes]);
                    for (first, second) in (1..bytes.len()).map(|at| bytes.split_at(at)) {
                        compare(&host, &whole, &[first, second]);
                    }
                }
            });
        }
    });
}

#[test]
fn many_segments_are_read_as_one() {
    let (conversations, host) = (conversations(), requests::host());
    let mut random = Random::new(0x5eed);
    for _ in 0..CASES {
        let bytes = &conversations[random.below(conversations.len())];
        let mut cuts: Vec<_> = (0..random.below(SEGMENTS_MAX)).map(|_| random.below(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let segments: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        compare(&host, &said(&host, &[bytes]), &segments);
    }
}

/// Returns the conversations: what a client sends on each connection.
fn conversations() -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(tests().join("corpus/requests")).unwrap().flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    // The first byte of a file says how the fuzz target cuts the others.
    let all = files.iter().map(|file| fs::read(file.path()).unwrap().split_off(1));
    let found: Vec<_> = all.filter(|bytes| (2..LENGTH_MAX).contains(&bytes.len())).collect();
    assert!(found.len() >= 200, "{} conversations", found.len());
    found
}

fn compare(host: &Host, whole: &str, segments: &[&[u8]]) {
    let found = said(host, segments);
    let shown = || segments.iter().map(|bytes| bytes.escape_ascii().to_string()).collect::<Vec<_>>();
    assert!(found == whole, "in segments: {:#?}\n{found}\n\nas one:\n{whole}", shown());
}

/// Returns all that the server says on a connection, without what differs from one
/// connection to the next.
fn said(host: &Host, segments: &[&[u8]]) -> String {
    let said = host.ask(segments.iter().copied());
    // Whether the server asks for a body depends on whether the body is there already.
    let said = said.escape_ascii().to_string().replace("HTTP/1.1 100 Continue\\r\\n\\r\\n", "");
    // The length depends on the length of the id, which the handler sends back.
    let differs = ["date: ", "x-request-id: ", "x-request-time: ", "content-length: "];
    let lines = said.split("\\n").filter(|line| !differs.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("\n")
}
