//! Formats the times and the memory of calls as text for people.

use crate::rollout::report::cost::{Memory, Times};
use crate::rollout::report::number::counted;
use crate::rollout::report::outcomes::{Class, Report};

/// Maximum number of classes in the list of times, and in the list of memory.
const CLASSES_MAX: usize = 3;

/// Maximum width of the name of a class in a table, in characters.
const NAME_MAX: usize = 40;

/// Adds the sections about times and memory to the lines of a report.
pub(super) fn push(lines: &mut Vec<String>, report: &Report) {
    push_times(lines, &report.classes);
    push_memory(lines, report);
}

fn push_times(lines: &mut Vec<String>, classes: &[Class]) {
    let timed: Vec<(&Class, Times)> =
        classes.iter().filter_map(|class| class.times.map(|times| (class, times))).collect();
    if classes.is_empty() {
        return;
    }
    let mut changed: Vec<(&Class, Times, f64)> = Vec::new();
    for (class, times) in &timed {
        let changes = [times.median_change(), times.p99_change()].into_iter().flatten();
        // How far a ratio is from 1, in either direction.
        let distance = changes.map(|ratio| ratio.max(1.0 / ratio)).reduce(f64::max);
        changed.extend(distance.map(|distance| (*class, *times, distance)));
    }
    changed.sort_by(|(_, _, one), (_, _, other)| other.total_cmp(one));

    lines.extend([String::new(), "Time of one call each, on a machine that does other work too".to_owned()]);
    let shown = changed.iter().take(CLASSES_MAX);
    let width = shown.clone().map(|(class, ..)| name(class).chars().count()).max().unwrap_or(0);
    for (class, times, _) in shown {
        let median =
            change("median", times.current_median_ms, times.candidate_median_ms, times.median_change());
        let mut line = format!("  {:width$}  {median}", name(class));
        if let (Some(current), Some(candidate)) = (times.current_p99_ms, times.candidate_p99_ms) {
            let p99 = change("99th percentile", current, candidate, times.p99_change());
            // Columns of one width stand below each other.
            line = format!("  {:width$}  {median:41}  {p99}", name(class));
        }
        lines.push(line.trim_end().to_owned());
    }
    if changed.len() > CLASSES_MAX {
        lines.push(format!("  … {} more classes", changed.len() - CLASSES_MAX));
    }
    let rest = [
        (timed.len() - changed.len(), "within 1.2x or 20 us"),
        (classes.len() - timed.len(), "too few answers (below 20)"),
    ];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    let rest: Vec<String> =
        rest.map(|(count, what)| format!("{what}: {}", counted(*count as u64, "class", "classes"))).collect();
    if !rest.is_empty() {
        lines.push(format!("  {}", rest.join("; ")));
    }
}

fn name(class: &Class) -> String {
    match class.class.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", class.class.get(..end).unwrap_or_default()),
        None => class.class.clone(),
    }
}

/// Formats two times in milliseconds. If `ratio` is given, also says how many times slower or
/// faster the candidate is.
fn change(name: &str, current: f64, candidate: f64, ratio: Option<f64>) -> String {
    let verdict = match ratio {
        Some(ratio) if ratio > 1.0 => format!(" ({ratio:.1}x slower)"),
        Some(ratio) => format!(" ({:.1}x faster)", 1.0 / ratio),
        None => String::new(),
    };
    format!("{name} {current:.3} -> {candidate:.3} ms{verdict}")
}

fn push_memory(lines: &mut Vec<String>, report: &Report) {
    if report.classes.is_empty() {
        return;
    }
    let more = if report.memory.is_more() { " (more)" } else { "" };
    lines.extend([String::new(), format!("Most memory of a call: {}{more}", memory(report.memory))]);
    let mut growing: Vec<&Class> = report.classes.iter().filter(|class| class.memory.is_more()).collect();
    growing.sort_by_key(|class| {
        std::cmp::Reverse(class.memory.candidate_max_bytes.saturating_sub(class.memory.current_max_bytes))
    });
    let width = growing.iter().take(CLASSES_MAX).map(|class| name(class).chars().count()).max().unwrap_or(0);
    for class in growing.iter().take(CLASSES_MAX) {
        lines.push(format!("  {:width$}  {}", name(class), memory(class.memory)));
    }
    if growing.len() > CLASSES_MAX {
        lines.push(format!("  … {} more classes", growing.len() - CLASSES_MAX));
    }
}

fn memory(memory: Memory) -> String {
    format!("{} -> {}", bytes(memory.current_max_bytes), bytes(memory.candidate_max_bytes))
}

fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
    }
}
