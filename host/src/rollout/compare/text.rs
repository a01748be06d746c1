//! Finds the lines in which two texts differ. Skips the lines that are equal at the start and at
//! the end of both texts, and aligns only the first lines between them, because a report shows only
//! a few lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::lines::{Run, align};
use crate::rollout::compare::shown::{around, common_prefix, start};

/// Maximum number of lines in a [`TextDiff`].
pub(super) const LINES_MAX: usize = 20;

/// Maximum number of removed lines, and of added lines, that are shown for one change.
const RUN_MAX: usize = 6;

/// Number of unchanged lines that are shown before and after a change.
const CONTEXT: usize = 2;

/// Maximum number of lines of each text that are aligned. The table of the alignment then needs
/// half a mebibyte.
const ALIGNED_MAX: usize = 500;

/// Difference of two texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextDiff {
    /// Number of the first line that differs, counted from 1.
    pub line: u64,
    /// Lines that differ, with the lines around them as context.
    pub lines: Vec<Line>,
    /// Whether further lines differ, which `lines` leaves out.
    pub more: bool,
}

/// Line, or number of lines that are left out, in the difference of two texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Both texts have the line.
    Same {
        /// Text of the line.
        text: String,
    },
    /// Only the text of the current version has the line.
    Removed {
        /// Text of the line.
        text: String,
    },
    /// Only the text of the candidate has the line.
    Added {
        /// Text of the line.
        text: String,
    },
    /// Lines that both texts have, and that are left out.
    MoreSame {
        /// Number of lines that are left out.
        count: u64,
    },
    /// Lines that only the text of the current version has, and that are left out.
    MoreRemoved {
        /// Number of lines that are left out.
        count: u64,
    },
    /// Lines that only the text of the candidate has, and that are left out.
    MoreAdded {
        /// Number of lines that are left out.
        count: u64,
    },
}

/// Compares two texts that differ.
pub(super) fn diff(from: &str, to: &str) -> TextDiff {
    let first = line_start(from.as_bytes(), common_prefix(from.as_bytes(), to.as_bytes()));
    let (before, from_rest) = from.split_at_checked(first).unwrap_or((from, ""));
    let to_rest = to.get(first..).unwrap_or_default();
    let behind = common_lines_behind(from_rest.as_bytes(), to_rest.as_bytes());
    let split = |text: &'_ str| text.len() - behind;
    let (from_middle, after) = from_rest.split_at_checked(split(from_rest)).unwrap_or((from_rest, ""));
    let to_middle = to_rest.get(..split(to_rest)).unwrap_or(to_rest);

    let mut from_lines = from_middle.split_inclusive('\n');
    let mut to_lines = to_middle.split_inclusive('\n');
    let from_start: Vec<&str> = from_lines.by_ref().take(ALIGNED_MAX).collect();
    let to_start: Vec<&str> = to_lines.by_ref().take(ALIGNED_MAX).collect();
    let is_cut = from_lines.next().is_some() || to_lines.next().is_some();

    let mut shown = Shown { lines: Vec::new(), marks_end: from.ends_with('\n') != to.ends_with('\n') };
    shown.same(last_lines(before));
    let mut runs = align(&from_start, &to_start);
    if !is_cut {
        match runs.last_mut() {
            Some(Run::Same(lines)) => lines.extend(after.split_inclusive('\n').take(CONTEXT)),
            _ => runs.push(Run::Same(after.split_inclusive('\n').take(CONTEXT).collect())),
        }
    }
    let more = shown.runs(&runs, is_cut);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    TextDiff { line, lines: shown.lines, more }
}

/// Returns the offset at which the line around `offset` starts.
fn line_start(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// Returns the number of bytes of the whole lines that are equal at the end of both texts.
fn common_lines_behind(from: &[u8], to: &[u8]) -> usize {
    let pairs = from.iter().rev().zip(to.iter().rev());
    let common = pairs.take_while(|(from, to)| from == to).count();
    let begins_line = |text: &[u8]| {
        let before = text.get(..text.len() - common).unwrap_or_default();
        before.last().is_none_or(|byte| *byte == b'\n')
    };
    if begins_line(from) && begins_line(to) {
        return common;
    }
    let behind = from.get(from.len() - common..).unwrap_or_default();
    behind.iter().position(|byte| *byte == b'\n').map_or(0, |newline| common - newline - 1)
}

/// Returns the last [`CONTEXT`] lines of a text. The text must end with a newline or be empty.
fn last_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').rev().take(CONTEXT).collect();
    lines.reverse();
    lines
}

struct Shown {
    lines: Vec<Line>,
    /// Whether a missing newline at the end is shown: exactly one of the texts ends with a newline.
    marks_end: bool,
}

impl Shown {
    /// Adds runs until there are [`LINES_MAX`] lines. Returns whether there are changes that are
    /// not shown. `is_cut` says that the texts have further lines, which were not aligned.
    fn runs(&mut self, runs: &[Run<'_>], is_cut: bool) -> bool {
        for (index, run) in runs.iter().enumerate() {
            let is_last = index + 1 == runs.len();
            let is_full = self.lines.len() >= LINES_MAX;
            match run {
                Run::Same(_) if is_full && is_last => {}
                _ if is_full => {
                    self.lines.truncate(LINES_MAX);
                    return true;
                }
                Run::Changed { removed, added } => self.change(removed, added, is_last && is_cut),
                Run::Same(lines) => self.between(lines, is_last),
            }
        }
        // The last run may pass the bound.
        let mut behind = self.lines.iter().skip(LINES_MAX);
        let is_long = behind.any(|line| !matches!(line, Line::Same { .. } | Line::MoreSame { .. }));
        self.lines.truncate(LINES_MAX);
        is_cut || is_long
    }

    fn between(&mut self, lines: &[&str], is_last: bool) {
        let behind = if is_last { 0 } else { CONTEXT };
        if lines.len() <= CONTEXT + behind {
            return self.same(lines.iter().copied());
        }
        self.same(lines.iter().take(CONTEXT).copied());
        if !is_last {
            self.lines.push(Line::MoreSame { count: (lines.len() - CONTEXT - behind) as u64 });
            self.same(lines.iter().skip(lines.len() - behind).copied());
        }
    }

    fn same<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let text = |line: &str| start(line.strip_suffix('\n').unwrap_or(line));
        self.lines.extend(lines.into_iter().map(|line| Line::Same { text: text(line) }));
    }

    /// Adds a change. `is_open` says that further lines may belong to the change, so that the
    /// number of hidden lines is unknown and not shown.
    fn change(&mut self, removed: &[&str], added: &[&str], is_open: bool) {
        let hidden = |lines: &[&str]| match is_open {
            true => 0,
            false => lines.len().saturating_sub(RUN_MAX) as u64,
        };
        for (index, line) in removed.iter().take(RUN_MAX).enumerate() {
            self.lines.push(Line::Removed { text: self.changed(line, added.get(index)) });
        }
        if hidden(removed) > 0 {
            self.lines.push(Line::MoreRemoved { count: hidden(removed) });
        }
        for (index, line) in added.iter().take(RUN_MAX).enumerate() {
            self.lines.push(Line::Added { text: self.changed(line, removed.get(index)) });
        }
        if hidden(added) > 0 {
            self.lines.push(Line::MoreAdded { count: hidden(added) });
        }
    }

    /// Returns the text of a line, cut around its first difference from `other`. Makes a space at
    /// the end and a missing newline visible.
    fn changed(&self, line: &str, other: Option<&&str>) -> String {
        let offset = other.map_or(0, |other| common_prefix(line.as_bytes(), other.as_bytes()));
        let text = line.strip_suffix('\n');
        let mut shown = around(text.unwrap_or(line), offset);
        if shown.ends_with(' ') {
            shown.pop();
            shown.push_str("\\u{20}");
        }
        if text.is_none() && self.marks_end {
            shown.push_str(" (without a newline at the end)");
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::{LINES_MAX, diff};
    use crate::rollout::compare::shown::SHOWN_MAX;

    fn shown(from: &str, to: &str) -> (u64, String) {
        let diff = diff(from, to);
        let mut text = String::new();
        diff.lines.iter().for_each(|line| writeln!(text, "{}", line.to_string().trim_end()).unwrap());
        if diff.more {
            text.push_str("more\n");
        }
        (diff.line, text)
    }

    fn numbered(numbers: impl Iterator<Item = usize>) -> String {
        numbers.map(|number| format!("{number}\n")).collect()
    }

    #[test]
    fn differing_lines_have_a_context() {
        for (from, to, line, expected) in [
            ("a\nb\nc\n", "a\nx\nc\n", 2, "  a\n- b\n+ x\n  c\n"),
            ("1\n2\n3\n4\n", "1\n2\n3\n", 4, "  2\n  3\n- 4\n"),
            ("1\n2\n", "0\n1\n2\n", 1, "+ 0\n  1\n  2\n"),
            ("", "a\nb\n", 1, "+ a\n+ b\n"),
            ("a", "", 1, "- a\n"),
            ("a\nb", "a\nc", 2, "  a\n- b\n+ c\n"),
            ("a\nb\n", "a\nb", 2, "  a\n- b\n+ b (without a newline at the end)\n"),
            ("a\r\n", "a\n", 1, "- a\\r\n+ a\n"),
            ("a \n", "a\n", 1, "- a\\u{20}\n+ a\n"),
            ("a\n\n", "a\n", 2, "  a\n-\n"),
            ("\x1b[31m\n", "b\n", 1, "- \\u{1b}[31m\n+ b\n"),
            // Both begin with the first byte of a character of two.
            ("xä\n", "xö\n", 1, "- xä\n+ xö\n"),
            ("aba\n", "aba\naba\n", 2, "  aba\n+ aba\n"),
        ] {
            assert_eq!(shown(from, to), (line, expected.to_owned()), "{from:?} {to:?}");
        }
    }

    #[test]
    fn changes_far_apart_are_shown_with_the_distance() {
        let (from, to) = (numbered(0..40), numbered(0..40).replace("10\n", "x\n").replace("30\n", "y\n"));
        let expected =
            "  8\n  9\n- 10\n+ x\n  11\n  12\n  … 15 equal lines\n  28\n  29\n- 30\n+ y\n  31\n  32\n";
        assert_eq!(shown(&from, &to), (11, expected.to_owned()));
    }

    #[test]
    fn long_changes_are_cut() {
        let inserted = numbered((0..3).chain(100..1100).chain(3..6));
        let (line, text) = shown(&numbered(0..6), &inserted);
        // Only the inserted lines stand between what both begin and end with.
        assert_eq!(line, 4);
        assert!(text.starts_with("  1\n  2\n+ 100\n") && text.ends_with("+ 105\nmore\n"), "{text}");

        let (_, text) = shown(&numbered(0..20), &numbered(100..120));
        assert!(text.contains("- 5\n- … 14 more lines\n+ 100\n"), "{text}");
        assert!(text.ends_with("+ 105\n+ … 14 more lines\n"), "{text}");

        let alternating = |mark: &str| {
            (0..50).fold(String::new(), |text, number| text + "x\n" + mark + &number.to_string() + "\n")
        };
        let (_, text) = shown(&alternating("a"), &alternating("b"));
        assert_eq!(text.lines().count(), LINES_MAX + 1, "{text}");
        assert!(text.ends_with("more\n"));
    }

    #[test]
    fn a_long_line_is_cut_around_its_difference() {
        let line = |middle: &str| format!("{}{middle}{}\n", "a".repeat(5000), "b".repeat(5000));
        let (_, text) = shown(&line("X"), &line("Y"));
        assert!(text.contains("aXb") && text.contains("aYb"), "{text}");
        assert!(text.lines().all(|line| line.len() < SHOWN_MAX + 10));
    }

    #[test]
    fn large_texts_are_compared_in_bounded_space() {
        let many = "x\n".repeat(1 << 20);
        let other = "y\n".repeat(1 << 20);
        let one_line = "z".repeat(4 << 20);
        let empty_lines = "\n".repeat(4 << 20);
        for from in [&many, &other, &one_line, &empty_lines] {
            for to in [&many, &other, &one_line, &empty_lines] {
                if from != to {
                    let (_, text) = shown(from, to);
                    assert!(text.len() <= (LINES_MAX + 1) * (SHOWN_MAX + 50));
                    assert!(!text.is_empty());
                }
            }
        }
    }
}
