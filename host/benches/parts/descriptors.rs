//! Limits of descriptors for the bench and the servers that it starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the bench and a server besides those of connections.
const SPARE: usize = 200;

/// Raises the limit of descriptors of this process and its children for this many
/// connections. Returns how many connections are possible.
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
