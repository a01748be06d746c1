//! Sites in the configuration file: `[[site]]` tables, each with a name, hosts, a path and
//! settings.

use std::collections::HashMap;
use std::path::Path;

use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::place::{Host, Place as SitePlace, Prefix};
use crate::config::setting::{self, Place, Setting, Settings};
use crate::config::site::{DEFAULT, FLAGS, KEYS, SiteSource};
use crate::config::toml_value::{TABLES, given, kind, not_twice, of_table};
use crate::config::value_error;

/// Key of the `[[site]]` tables in the configuration file.
pub const TABLE: &str = "site";

/// Maximum number of sites of a server.
pub const SITES_MAX: usize = 10_000;

/// Maximum length of the name of a site in bytes.
const NAME_MAX: usize = 63;

/// Maximum number of hosts of one site.
const HOSTS_MAX: usize = 100;

/// Reader of the `[[site]]` tables in one configuration file.
pub(super) struct Tables<'a> {
    pub(super) command: &'a Command,
    pub(super) path: &'a Path,
    /// Folder to which paths are relative.
    pub(super) base: &'a Path,
    /// Function that returns the line number, counted from 1, for a byte offset in the file.
    pub(super) line_of: &'a dyn Fn(usize) -> usize,
}

impl Tables<'_> {
    /// Reads the sites from the value of the key `site`.
    ///
    /// # Errors
    ///
    /// The line of each mistake, and its message.
    pub(super) fn read(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<SiteSource>, Vec<(usize, String)>> {
        let start = (self.line_of)(value.span().start);
        let DeValue::Array(tables) = value.get_ref() else {
            let found = kind(value.get_ref());
            return Err(vec![(
                start,
                format!("site: found {found}; expected tables, each headed by [[site]]"),
            )]);
        };
        if tables.len() > SITES_MAX {
            let count = tables.len();
            return Err(vec![(start, format!("site: found {count} sites; expected at most {SITES_MAX}"))]);
        }
        let (mut sites, mut mistakes) = (Vec::new(), Vec::new());
        for table in tables.iter() {
            match table.get_ref() {
                DeValue::Table(entries) => match self.site(entries, (self.line_of)(table.span().start)) {
                    Ok(site) => sites.push(site),
                    Err(found) => mistakes.extend(found),
                },
                other => {
                    let found = kind(other);
                    let line = (self.line_of)(table.span().start);
                    mistakes.push((line, format!("site: found {found}; expected a table")));
                }
            }
        }
        mistakes.extend(self.twice(&sites));
        if mistakes.is_empty() { Ok(sites) } else { Err(mistakes) }
    }

    fn site(&self, table: &DeTable<'_>, start: usize) -> Result<SiteSource, Vec<(usize, String)>> {
        let at = Place::Line(self.path.to_owned(), start);
        let mut site =
            SiteSource { name: String::new(), place: SitePlace::default(), settings: Settings::new(), at };
        let mut mistakes = Vec::new();
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = (self.line_of)(key.span().start);
            if let Err(mistake) = self.entry(&mut site, key.get_ref(), line, value) {
                mistakes.push((line, mistake));
            }
        }
        if site.name.is_empty() && !table.keys().any(|key| key.get_ref() == "name") {
            mistakes
                .push((start, "a site lacks the key `name`; expected, for example, name = \"shop\"".into()));
        }
        // Without it, a misspelt key would let the embedded handler serve the site.
        if !table.keys().any(|key| key.get_ref() == "module") {
            let name = if site.name.is_empty() { "shop" } else { &site.name };
            mistakes.push((
                start,
                format!("there is no key `module`; expected the file of its handler, such as module = \"{name}.wasm\""),
            ));
        }
        if site.place.strip && site.place.path == Prefix::default() {
            let message =
                "strip-path: there is nothing to strip; expected a key `path`, such as path = \"/shop\"";
            mistakes.push((start, message.into()));
        }
        let of_site = |message| match site.name.is_empty() {
            true => message,
            false => format!("site {}: {message}", site.name),
        };
        let mut mistakes: Vec<_> =
            mistakes.into_iter().map(|(line, message)| (line, of_site(message))).collect();
        for message in value_error::conflicts(self.command, &site.settings) {
            // The message begins with its own place.
            let message = message.split_once(": ").map_or(message.as_str(), |(_, rest)| rest).to_owned();
            mistakes.push((start, of_site(message)));
        }
        if mistakes.is_empty() { Ok(site) } else { Err(mistakes) }
    }

    fn entry(
        &self,
        site: &mut SiteSource,
        key: &str,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), String> {
        let found = || kind(value.get_ref());
        match (key, value.get_ref()) {
            ("name", DeValue::String(name)) => site.name = parse_name(name)?,
            ("name", _) => return Err(format!("name: found {}; expected a string", found())),
            ("path", DeValue::String(path)) => {
                let wrong = |cause| format!("path: found `{}`; {cause}", value_error::shown(path));
                site.place.path = Prefix::parse(path).map_err(wrong)?;
            }
            ("path", _) => return Err(format!("path: found {}; expected a string", found())),
            ("strip-path", DeValue::Boolean(strip)) => site.place.strip = *strip,
            ("strip-path", _) => {
                return Err(format!("strip-path: found {}; expected true or false", found()));
            }
            ("hosts", DeValue::Array(hosts)) if hosts.len() <= HOSTS_MAX => {
                site.place.hosts =
                    hosts.iter().map(|host| parse_host(host.get_ref())).collect::<Result<_, _>>()?;
                if site.place.hosts.is_empty() {
                    return Err("hosts: found an empty array; leave the key out for all hosts".into());
                }
            }
            ("hosts", DeValue::Array(hosts)) => {
                return Err(format!("hosts: found {} hosts; expected at most {HOSTS_MAX}", hosts.len()));
            }
            ("hosts", host) => site.place.hosts = vec![parse_host(host)?],
            (key, table) if let Some((_, id)) = TABLES.iter().find(|(table, _)| key == *table) => {
                let (id, given) = of_table(self.command, &site.settings, key, id, table, self.base)?;
                let place = Place::Line(self.path.to_owned(), line);
                site.settings.insert(id, Setting { given, place });
            }
            _ => {
                let flag = self.flag(key)?;
                not_twice(&site.settings, flag)?;
                let given = given(flag, value, self.base).map_err(|cause| format!("{key}: {cause}"))?;
                value_error::check(self.command, flag, &given, key)?;
                let place = Place::Line(self.path.to_owned(), line);
                site.settings.insert(flag.get_id().to_string(), Setting { given, place });
            }
        }
        Ok(())
    }

    fn flag(&self, key: &str) -> Result<&clap::Arg, String> {
        let shown = value_error::shown(key);
        match setting::find(self.command, key) {
            Some(flag) if FLAGS.contains(&flag.get_id().as_str()) => Ok(flag),
            Some(_) => {
                Err(format!("{shown} is a setting of the whole server; move it above the first [[site]]"))
            }
            None => {
                let (of_site, of_server): (Vec<_>, Vec<_>) =
                    setting::flags(self.command).partition(|flag| FLAGS.contains(&flag.get_id().as_str()));
                let tables = TABLES.iter().map(|(table, _)| *table);
                let of_site = of_site.into_iter().map(setting::key).chain(KEYS).chain(tables);
                let near = || setting::near_of(of_server.into_iter().map(setting::key), key);
                let hint = match setting::near_of(of_site, key) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => near().map_or_else(String::new, |near| {
                        format!("; did you mean `{near}`, a setting of the whole server? It stands above the first [[site]]")
                    }),
                };
                Err(format!("there is no key `{shown}` of a site{hint}"))
            }
        }
    }

    /// Finds sites with the same name, or the same host and path, as an earlier site. Returns a
    /// line number and a message for each.
    fn twice(&self, sites: &[SiteSource]) -> Vec<(usize, String)> {
        let (mut names, mut places) = (HashMap::new(), HashMap::new());
        let mut mistakes = Vec::new();
        let line = |site: &SiteSource| match &site.at {
            Place::Line(_, line) => *line,
            _ => 0,
        };
        for site in sites {
            let name = &site.name;
            if let Some(first) = names.insert(name.as_str(), line(site)) {
                mistakes
                    .push((line(site), format!("site {name}: the site of line {first} has this name too")));
            }
            let all = [None];
            let hosts: Vec<_> = site.place.hosts.iter().map(Some).collect();
            for host in if hosts.is_empty() { &all[..] } else { &hosts } {
                let place = (*host, site.place.path.as_str());
                if let Some(first) = places.insert(place, line(site)) {
                    let host = host.map_or("all hosts".into(), ToString::to_string);
                    let path = &site.place.path;
                    mistakes.push((
                        line(site),
                        format!("site {name}: the site of line {first} has {host} with the path {path} too"),
                    ));
                }
            }
        }
        mistakes
    }
}

fn parse_name(name: &str) -> Result<String, String> {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_valid = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.bytes().all(is_known)
        && !name.starts_with('-')
        && !name.ends_with('-');
    match is_valid {
        true if name == DEFAULT => {
            Err("name: `default` is the site that the settings outside of [[site]] describe; choose another"
                .into())
        }
        true => Ok(name.into()),
        false => Err(format!(
            "name: found `{}`; expected at most {NAME_MAX} small letters, digits and hyphens, with no hyphen at \
             either end",
            value_error::shown(name)
        )),
    }
}

fn parse_host(value: &DeValue<'_>) -> Result<Host, String> {
    match value {
        DeValue::String(host) => {
            Host::parse(host).map_err(|cause| format!("hosts: found `{}`; {cause}", value_error::shown(host)))
        }
        other => Err(format!("hosts: found {}; expected a string, or an array of strings", kind(other))),
    }
}
