//! Reference page of all bounds: those of the flags, and those that no flag changes.

use std::fmt::Write as _;

use clap::Command;

use crate::bounds::fixed;
use crate::config::limit_flag::{LimitFlag, limit_flags};

/// Returns the reference page of bounds in Markdown: the flags of the command, then the fixed
/// bounds.
pub fn reference(command: &Command) -> String {
    let mut text = String::from(
        "# Bounds\n\n\
         The bounds that the server sets: first those that have a flag, then those that have none.\n\
         [Operating](../operating.md) explains those that belong together.\n\n\
         Each size, time and count has a largest value, too. A larger one is refused, and the message names the largest.\n\
         WebAssembly has limits of its own, such as 50,000 locals in a function. A module past one of them is not served.\n\n\
         - SIZE is a number of bytes, or a number with a unit. `KiB`, `MiB`, `GiB` and `TiB` are powers of 1024, `KB`, `MB`,\n  \
           `GB` and `TB` powers of 1000, all also without the B: `64Mi` is 67,108,864 bytes, and `64M` is 64,000,000. Case\n  \
           does not matter. Fractions are taken (`1.5MiB`).\n\
         - TIME is a number with a unit: `ms`, `s`, `min` or `m`, `h`, `day` or `d`. Fractions (`1.5s`) and sums (`1min 30s`)\n  \
           are taken, a number without a unit is not.\n\
         - N is a count. SWITCH is on or off.\n\n\
         This page is generated from the code (`host/src/config`, `host/src/bounds.rs`);\n\
         `UPDATE_DOCS=1 cargo test --test tests repository` writes it.\n\n\
         ## Flags\n\n\
         | flag | unit | default | what is bounded | past it |\n| --- | --- | --- | --- | --- |\n",
    );
    text.push_str(&flags(command));
    for (about, rows) in fixed() {
        let _ = write!(
            text,
            "\n## {about}: fixed\n\n| what is bounded | most | past it |\n| --- | --- | --- |\n"
        );
        for (what, most, past) in rows {
            let _ = writeln!(text, "| {what} | {most} | {past} |");
        }
    }
    text
}

/// Returns one row of a Markdown table for each flag under the heading "Limits".
pub fn flags(command: &Command) -> String {
    let row = |flag: &clap::Arg| {
        let LimitFlag { name, unit, default, what, past } = LimitFlag::new(flag)?;
        Some(format!("| `--{name}` | {unit} | {default} | {what} | {past} |\n"))
    };
    limit_flags(command)
        .map(|flag| row(flag).unwrap_or_else(|| format!("| {} | | | | |\n", flag.get_id())))
        .collect()
}
