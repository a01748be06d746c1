//! Interfaces that the host grants to components, and the check of a component's imports and
//! exports.

use std::fmt;

use wasmtime::component::Type;
use wasmtime::component::types::{Component, ComponentItem};

use crate::module_error::ModuleError;

/// Interfaces of WASI 0.2 that work. Components may import any version 0.2.x of them.
const WORKING: [&str; 19] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Interfaces that exist only because compilers import them even if a program does not need them.
/// All their operations fail, because components have no files, no sockets and no other servers.
const REFUSING: [&str; 10] = [
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Access of a component to an interface that it imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The interface works.
    Granted,
    /// The interface exists, but all its operations fail.
    Refuses,
    /// The interface does not exist, so the component is refused.
    NotGranted,
}

impl Grant {
    /// Returns the access to the interface with this name, such as `wasi:http/types@0.2.4`.
    pub fn of(import: &str) -> Grant {
        match version_0_2(import) {
            Some(interface) if WORKING.contains(&interface) => Grant::Granted,
            Some(interface) if REFUSING.contains(&interface) => Grant::Refuses,
            _ => Grant::NotGranted,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Grant::Granted => "granted",
            Grant::Refuses => "refuses everything",
            Grant::NotGranted => "not granted",
        })
    }
}

/// Interface that answers requests.
const HANDLER: &str = "wasi:http/incoming-handler";

/// Checks that a component exports the interface that answers requests, and imports only interfaces
/// that are granted.
pub(super) fn check(component: &Component, engine: &wasmtime::Engine) -> Result<(), ModuleError> {
    let Some((name, handler)) =
        component.exports(engine).find(|(name, _)| version_0_2(name) == Some(HANDLER))
    else {
        let expected = "the interface of WASI 0.2 by which a component answers requests";
        return Err(ModuleError::ExportMissing { name: format!("{HANDLER}@0.2"), expected: expected.into() });
    };
    let imports = component.imports(engine).map(|(name, _)| name);
    let names: Vec<_> =
        imports.filter(|name| Grant::of(name) == Grant::NotGranted).map(ToOwned::to_owned).collect();
    if !names.is_empty() {
        return Err(ModuleError::NotGranted { names });
    }
    if !is_handler(&handler.ty, engine) {
        return Err(ModuleError::ExportType {
            name: name.into(),
            expected: "`handle: func(request: incoming-request, response-out: response-outparam)` in it"
                .into(),
            found: "an interface without the function of WASI 0.2".into(),
        });
    }
    Ok(())
}

/// Returns whether an export has the function that answers requests, with its type.
fn is_handler(export: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    let ComponentItem::ComponentInstance(interface) = export else {
        return false;
    };
    match interface.get_export(engine, "handle").map(|handle| handle.ty) {
        Some(ComponentItem::ComponentFunc(handle)) => {
            let is_resource = |(_, kind): (&str, Type)| matches!(kind, Type::Own(_));
            handle.params().len() == 2 && handle.params().all(is_resource) && handle.results().len() == 0
        }
        _ => false,
    }
}

/// Returns the name of an interface without its version; [`None`] if the version is not a release
/// of 0.2.
fn version_0_2(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@')?;
    let minor = version.strip_prefix("0.2.")?;
    (!minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())).then_some(interface)
}

#[cfg(test)]
mod tests {
    use super::Grant;

    #[test]
    fn releases_of_wasi_0_2_are_granted_and_drafts_and_others_are_not() {
        for name in ["wasi:http/types@0.2.0", "wasi:io/poll@0.2.12", "wasi:random/insecure-seed@0.2.3"] {
            assert_eq!(Grant::of(name), Grant::Granted, "{name}");
        }
        for name in ["wasi:sockets/udp@0.2.3", "wasi:http/outgoing-handler@0.2.0"] {
            assert_eq!(Grant::of(name), Grant::Refuses, "{name}");
        }
        for name in [
            "wasi:http/types",
            "wasi:http/types@0.2.0-rc-2023-11-10",
            "wasi:http/types@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:http/types@0.2.",
            "example:own/thing@0.2.0",
        ] {
            assert_eq!(Grant::of(name), Grant::NotGranted, "{name}");
        }
    }
}
