//! Limits as their flags describe them.

use clap::{Arg, Command};

/// Flag under the heading "Limits".
pub(crate) struct LimitFlag<'a> {
    /// Name of the flag without the hyphens in front.
    pub(crate) name: &'a str,
    /// Name of the flag's value: `SIZE`, `TIME`, `N` or `SWITCH`.
    pub(crate) unit: &'a str,
    /// Default value.
    pub(crate) default: &'a str,
    /// What the limit bounds.
    pub(crate) what: String,
    /// Effect of exceeding the limit.
    pub(crate) past: String,
}

impl LimitFlag<'_> {
    /// Returns the limit that a flag sets, as its help describes it. Returns `None` if the flag
    /// lacks a part.
    pub(crate) fn new(flag: &Arg) -> Option<LimitFlag<'_>> {
        let help = flag.get_help()?.to_string();
        let (what, past) = help.split_once("; ")?;
        let (name, unit) = (flag.get_long()?, flag.get_value_names()?.first()?);
        let default = flag.get_default_values().first()?.to_str()?;
        let past = past.trim_start_matches("past it ");
        Some(LimitFlag { name, unit, default, what: what.into(), past: past.into() })
    }
}

/// Returns the flags under the heading "Limits".
pub(crate) fn limit_flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|flag| flag.get_help_heading() == Some("Limits"))
}
