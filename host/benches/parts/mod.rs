//! Benches consist of parts, which are chosen by name on the command line.

/// Runs those parts that were named, or all of them. Flags are Cargo's.
pub fn run_chosen(parts: &[(&str, fn())]) {
    let named = |name: &str| std::env::args().skip(1).any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| named(name));
    for (_, part) in parts.iter().filter(|(name, _)| all || named(name)) {
        part();
    }
}
