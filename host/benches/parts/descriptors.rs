//! How many connections the bench and the servers that it starts may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the bench and a server need beside those of connections.
const SPARE: usize = 200;

/// Raises the bound of descriptors for this process and those that it starts, as
/// far as so many connections need. Returns how many there can be.
pub fn raise_descriptors(connections: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(usize::MAX, |most| most as usize);
    let needed = (connections + SPARE).min(most);
    if limit.current.is_some_and(|current| (current as usize) < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed as u64), ..limit }).unwrap();
    }
    if needed < connections + SPARE {
        println!("this machine allows {most} descriptors: fewer than {connections} connections");
    }
    needed - SPARE
}
