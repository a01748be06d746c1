//! Fuzz target of `tests/isolation.rs`: libFuzzer's bytes choose the module and the
//! requests.
#![no_main]

#[path = "../../harness/hoarder.rs"]
mod hoarder;
#[path = "../../harness/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOST: oracle::Host = oracle::Host::new();
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = bytes.iter();
    HOST.with(|host| {
        oracle::compare(host, &mut |end| {
            let mut next = || usize::from(*choices.next().unwrap_or(&0));
            (next() << 8 | next()) % end
        })
    });
});
