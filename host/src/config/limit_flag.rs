//! Descriptions of limits, taken from the help of their flags.

use clap::{Arg, Command};

/// Description of a flag under the heading "Limits".
pub(crate) struct LimitFlag<'a> {
    /// Name of the flag without the hyphens in front.
    pub(crate) name: &'a str,
    /// Placeholder of the value in the help: `SIZE`, `TIME`, `N` or `SWITCH`.
    pub(crate) unit: &'a str,
    /// Default value.
    pub(crate) default: &'a str,
    /// What the limit bounds.
    pub(crate) what: String,
    /// Effect of exceeding the limit.
    pub(crate) past: String,
}

impl LimitFlag<'_> {
    /// Splits the help of a flag into what the flag limits and the effect of exceeding the limit.
    /// Returns [`None`] if the help does not have this form, or if the flag has no default or no
    /// placeholder.
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
