//! Doubts about the settings of a server that only `host config check` tells, because they depend on
//! what the machine has when the server starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::serve::Serve;

/// Returns the address that is given twice, if one is. Port 0 is another port each time.
pub(super) fn twice(addresses: &[String]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    let place = |address: &str| address.split(',').next().unwrap_or_default().to_owned();
    let is_again = |address: &&String| {
        let place = place(address);
        !place.ends_with(":0") && !seen.insert(place)
    };
    addresses.iter().find(is_again).map(String::as_str)
}

/// Returns a warning for each file that the server would create in a folder that does not exist.
pub(super) fn missing_folders(serve: &Serve) -> Vec<String> {
    let files = [("control", &serve.swap.control), ("log-file", &serve.log_file)];
    let lacks = |(key, path): (&str, &Option<PathBuf>)| {
        let path = path.as_ref()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_lacking = !folder.is_dir();
        is_lacking.then(|| {
            format!(
                "{key}: there is no folder {} now; the server needs it for {}",
                folder.display(),
                path.display()
            )
        })
    };
    files.into_iter().filter_map(lacks).collect()
}

#[cfg(test)]
mod tests {
    use super::twice;

    #[test]
    fn an_address_that_is_given_twice_is_found() {
        let all = |list: &[&str]| list.iter().map(|address| (*address).to_owned()).collect::<Vec<_>>();
        assert_eq!(twice(&all(&["a:1", "a:1,plain"])), Some("a:1,plain"));
        assert_eq!(twice(&all(&["a:0", "a:0", "a:1", "b:1"])), None);
        assert_eq!(twice(&all(&["unix:/a", "unix:/a,mode=0660"])), Some("unix:/a,mode=0660"));
    }
}
