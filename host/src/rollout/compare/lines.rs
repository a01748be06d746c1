//! Aligns the lines of two short texts by their longest common subsequence. This needs a table with
//! a cell for each pair of lines, so the caller has to limit the number of lines.

use std::collections::HashMap;
use std::mem;

/// Consecutive lines that are equal in both texts, or that differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run<'a> {
    /// Lines that both texts have.
    Same(Vec<&'a str>),
    /// Lines of the first text, and the lines that replace them in the second text.
    Changed {
        /// Lines that only the first text has.
        removed: Vec<&'a str>,
        /// Lines that only the second text has.
        added: Vec<&'a str>,
    },
}

/// Length of the longest common subsequence for each pair of a suffix of the first text and a
/// suffix of the second text.
struct Table {
    width: usize,
    cells: Vec<u16>,
}

impl Table {
    /// Returns the length of the longest common subsequence of the last `from` lines of the first
    /// text and the last `to` lines of the second text.
    fn at(&self, from: usize, to: usize) -> u16 {
        self.cells.get(from * self.width + to).copied().unwrap_or(0)
    }

    fn new(from: &[usize], to: &[usize]) -> Table {
        let width = to.len() + 1;
        let mut cells = Vec::with_capacity((from.len() + 1) * width);
        cells.resize(width, 0);
        let mut table = Table { width, cells };
        for (row, from) in from.iter().rev().enumerate() {
            table.cells.push(0);
            for (column, to) in to.iter().rev().enumerate() {
                let length = match from == to {
                    true => table.at(row, column).saturating_add(1),
                    false => table.at(row, column + 1).max(table.at(row + 1, column)),
                };
                table.cells.push(length);
            }
        }
        table
    }
}

/// Aligns the lines of two texts. Needs two bytes of memory for each pair of a line of `from` and a
/// line of `to`.
pub(super) fn align<'a>(from: &[&'a str], to: &[&'a str]) -> Vec<Run<'a>> {
    // Numbers make the comparison of two long lines cheap.
    let mut numbers = HashMap::new();
    let mut number = |line: &&'a str| {
        let next = numbers.len();
        *numbers.entry(*line).or_insert(next)
    };
    let from_numbers: Vec<usize> = from.iter().map(&mut number).collect();
    let to_numbers: Vec<usize> = to.iter().map(&mut number).collect();
    let table = Table::new(&from_numbers, &to_numbers);

    let mut runs = Runs::default();
    let (mut from, mut to) = (from.iter().zip(from_numbers).peekable(), to.iter().zip(to_numbers).peekable());
    loop {
        match (from.peek().copied(), to.peek().copied()) {
            (Some((line, number)), Some((_, other))) if number == other => {
                from.next();
                to.next();
                runs.same(line);
            }
            (Some((line, _)), None) => {
                from.next();
                runs.removed.push(line);
            }
            (Some((line, _)), Some(_))
                if table.at(from.len() - 1, to.len()) >= table.at(from.len(), to.len() - 1) =>
            {
                from.next();
                runs.removed.push(line);
            }
            (_, Some((line, _))) => {
                to.next();
                runs.added.push(line);
            }
            (None, None) => break,
        }
    }
    runs.finish()
}

#[derive(Default)]
struct Runs<'a> {
    done: Vec<Run<'a>>,
    removed: Vec<&'a str>,
    added: Vec<&'a str>,
}

impl<'a> Runs<'a> {
    fn same(&mut self, line: &'a str) {
        self.end_change();
        match self.done.last_mut() {
            Some(Run::Same(lines)) => lines.push(line),
            _ => self.done.push(Run::Same(vec![line])),
        }
    }

    fn end_change(&mut self) {
        let (removed, added) = (mem::take(&mut self.removed), mem::take(&mut self.added));
        if !removed.is_empty() || !added.is_empty() {
            self.done.push(Run::Changed { removed, added });
        }
    }

    fn finish(mut self) -> Vec<Run<'a>> {
        self.end_change();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, align};

    /// Aligns the letters of two words as if they were lines, and returns the alignment as text,
    /// such as `a[b>x]c`.
    fn aligned(from: &str, to: &str) -> String {
        let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let (from, to) = (letters(from), letters(to));
        let lines =
            |text: &'_ [String]| text.iter().map(|line| line.clone().leak() as &str).collect::<Vec<_>>();
        let runs = align(&lines(&from), &lines(&to));
        let text = runs.iter().map(|run| match run {
            Run::Same(lines) => lines.concat(),
            Run::Changed { removed, added } => format!("[{}>{}]", removed.concat(), added.concat()),
        });
        text.collect()
    }

    #[test]
    fn lines_are_aligned() {
        for (from, to, expected) in [
            ("", "", ""),
            ("abc", "abc", "abc"),
            ("abc", "axc", "a[b>x]c"),
            ("abc", "ac", "a[b>]c"),
            ("ac", "abc", "a[>b]c"),
            ("", "ab", "[>ab]"),
            ("ab", "", "[ab>]"),
            ("abcd", "xbyd", "[a>x]b[c>y]d"),
            ("abab", "baba", "[a>]bab[>a]"),
        ] {
            assert_eq!(aligned(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn an_alignment_has_all_lines_of_both_texts() {
        let mut seed = 1_u64;
        for _ in 0..5_000 {
            let mut lines = || {
                let mut next = || {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 33) as usize
                };
                (0..next() % 9).map(|_| ["a", "b", "c"][next() % 3]).collect::<Vec<_>>()
            };
            let (from, to) = (lines(), lines());
            let (mut from_seen, mut to_seen) = (Vec::new(), Vec::new());
            for run in align(&from, &to) {
                let (removed, added) = match run {
                    Run::Same(lines) => (lines.clone(), lines),
                    Run::Changed { removed, added } => (removed, added),
                };
                from_seen.extend(removed);
                to_seen.extend(added);
            }
            assert_eq!((from_seen, to_seen), (from, to));
        }
    }
}
