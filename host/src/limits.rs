//! Limits of the running server, for the API: the limits that flags set, the limits that sites set,
//! and the fixed limits.

use std::time::Duration;

use clap::Command;
use serde_json::Number;

use crate::admin::protocol::{Limit, ShownSetting, Unit};
use crate::amount::Amount;
use crate::bounds;
use crate::config::limit_flag::{LimitFlag, limit_flags};
use crate::config::value;

/// Returns all limits of a server that runs with `settings`. `command` is the definition of the
/// command line, which describes the limit of each flag.
pub fn in_force(command: &Command, settings: Vec<ShownSetting>) -> Vec<Limit> {
    let flags: Vec<_> = limit_flags(command).filter_map(LimitFlag::new).collect();
    let of_setting = |setting: ShownSetting| {
        let flag = flags.iter().find(|flag| flag.name == setting.key)?;
        of_flag(flag, setting)
    };
    let fixed = bounds::fixed().into_iter().flat_map(|(_, rows)| rows).filter_map(of_row);
    settings.into_iter().filter_map(of_setting).chain(fixed).collect()
}

fn of_flag(flag: &LimitFlag<'_>, setting: ShownSetting) -> Option<Limit> {
    let ShownSetting { site, key, value, place } = setting;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (value, unit) = amount(flag.unit, &text)?;
    let (what, past) = (plain(&flag.what), plain(&flag.past));
    Some(Limit { site, key: Some(key), what, value, unit, past, place: Some(place) })
}

/// Returns a fixed limit. Returns [`None`] for a row that refers to a flag, because the limits of
/// the flags are listed already.
fn of_row((what, most, past): bounds::Row) -> Option<Limit> {
    let (value, unit) = match most {
        Amount::Count(count) => (count.into(), Unit::Count),
        Amount::Bytes(bytes) => (bytes.into(), Unit::Bytes),
        Amount::Time(time) => (seconds(time)?, Unit::Seconds),
        Amount::Flag(_) => return None,
    };
    let (what, past) = (plain(what), plain(past));
    Some(Limit { site: None, key: None, what, value, unit, past, place: None })
}

/// Parses the value of a flag, and returns it with its unit. `unit` is the placeholder of the value
/// in the help: `SIZE`, `TIME`, `SWITCH` or `N`.
fn amount(unit: &str, text: &str) -> Option<(Number, Unit)> {
    Some(match unit {
        "SIZE" => (value::size::<{ usize::MAX }>(text).ok()?.into(), Unit::Bytes),
        "TIME" => (seconds(value::duration(text).ok()?)?, Unit::Seconds),
        "SWITCH" => (u64::from(text == "on").into(), Unit::Switch),
        _ => match text.parse::<u64>() {
            Ok(count) => (count.into(), Unit::Count),
            Err(_) => (value::connections(text).ok()?.into(), Unit::Count),
        },
    })
}

/// Returns a time in seconds, as an integer if there is no fraction.
fn seconds(time: Duration) -> Option<Number> {
    match time.subsec_nanos() {
        0 => Some(time.as_secs().into()),
        _ => Number::from_f64(time.as_secs_f64()),
    }
}

/// Returns a Markdown text without its backticks.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::in_force;
    use crate::admin::protocol::Unit;
    use crate::cli::{config, serve};
    use crate::config::site::Source;
    use serde_json::json;

    #[test]
    fn every_bound_is_a_number_with_a_unit() {
        let command = serve::definition();
        let all = in_force(&command, config::entries(&Source::default()));
        let find = |key: &str| all.iter().find(|limit| limit.key.as_deref() == Some(key)).unwrap();
        for (key, value, unit) in [
            ("head-max", json!(16384), Unit::Bytes),
            ("idle-timeout", json!(60), Unit::Seconds),
            ("queue", json!(16), Unit::Count),
            ("fair-share", json!(1), Unit::Switch),
        ] {
            let limit = find(key);
            assert_eq!((json!(limit.value), limit.unit), (value, unit), "{key}");
            assert_eq!(limit.place.as_ref().unwrap().source, "default", "{key}");
        }
        assert!(find("connections").value.as_u64().is_some());
        let flags = super::limit_flags(&command).count();
        assert_eq!(all.iter().filter(|limit| limit.key.is_some()).count(), flags);
        let half = all.iter().find(|limit| json!(limit.value) == json!(0.5)).unwrap();
        assert_eq!((half.unit, &half.key), (Unit::Seconds, &None));
    }
}
