//! What benches share. Each consists of parts, which are chosen by name on the
//! command line.

pub mod nginx;
pub mod program;
pub mod replaced;
pub mod steady;

/// Runs those parts that were named, or all of them. Flags are Cargo's.
pub fn run_chosen(parts: &[(&str, fn())]) {
    let named = |name: &str| std::env::args().skip(1).any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| named(name));
    for (_, part) in parts.iter().filter(|(name, _)| all || named(name)) {
        part();
    }
}
