//! The same as `isolation.rs` among the tests, with choices made by libFuzzer.
#![no_main]

mod harness {
    #[path = "../../../harness/hoarder.rs"]
    pub mod hoarder;
    #[path = "../../../harness/oracle.rs"]
    pub mod oracle;
}

use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOST: harness::oracle::Host = harness::oracle::Host::new();
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = bytes.iter();
    HOST.with(|host| {
        harness::oracle::compare(host, &mut |end| {
            let mut next = || usize::from(*choices.next().unwrap_or(&0));
            (next() << 8 | next()) % end
        })
    });
});
