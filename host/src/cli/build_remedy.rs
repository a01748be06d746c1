//! Remedies for crates that do not build.

/// Returns a suggested fix for a crate that does not build; [`None`] if the compiler's output,
/// `errors`, shows none of the usual mistakes.
pub(super) fn of_build(errors: &str) -> Option<&'static str> {
    const REMEDIES: [(&[&str], &str); 10] = [
        (
            &["lang item `panic_impl`", "duplicate lang item"],
            "a crate links the standard library: turn off its default features, or turn on the feature `std` of \
             handler-sdk in Cargo.toml, and remove #![no_std] from src/lib.rs; or export! stands twice",
        ),
        (
            &["wasm_js", "enable the \"js\" feature"],
            "turn on the feature `getrandom` of handler-sdk, which draws from the host, and write rustflags = [\"--cfg\", \
             'getrandom_backend=\"custom\"'] under [target.wasm32-unknown-unknown] in .cargo/config.toml",
        ),
        (
            &["not defined at compile time"],
            "a handler has no environment: write export!(answer, values), read handler_sdk::values, and give the value by \
             --var KEY=VALUE or --secret; or set it for the build under [env] in .cargo/config.toml",
        ),
        (
            &["cannot find macro `println`", "cannot find macro `eprintln`", "cannot find macro `dbg`"],
            "write log!(Level::Info, \"...\"), which goes to the log of the host",
        ),
        (
            &["-> impl Future<Output"],
            "an action is no async fn, because a handler waits for nothing: write fn",
        ),
        (
            &["named `json` found for struct"],
            "turn on the feature `json` of handler-sdk in Cargo.toml, or give encoded text to Response::json_bytes",
        ),
        (
            &[
                "no global memory allocator found",
                "cannot find macro `format`",
                "cannot find macro `vec`",
                "no method named `to_string`",
                "no method named `to_text`",
                "unlinked crate `alloc`",
                "TurnOnTheFeatureAllocOfHandlerSdk",
            ],
            "turn on the feature `alloc` of handler-sdk in Cargo.toml, and write use handler_sdk::prelude::*;",
        ),
        (
            &["`#[panic_handler]` function required"],
            "write handler_sdk::export!(answer) in src/lib.rs, or turn on the feature `std` of handler-sdk",
        ),
        (
            &[
                "fn pointer `for<'a> fn(handler_sdk::Request<'a>)",
                "&Request) -> Response",
                "&Request<'_>) -> Response",
                "&'a Request<'a>) -> Response<'a>",
            ],
            "an action takes the request by value: fn page(request: Request) -> Response",
        ),
        (
            &["cannot be the content of a response"],
            "give it text or bytes: piece.to_text() decodes a piece of a request (feature `alloc`), format!(\"{number}\") \
             writes a number",
        ),
    ];
    if lacks_no_std(errors) {
        return Some(
            "the crate itself links the standard library: write #![no_std] at the top of src/lib.rs, and no extern crate \
             std; or turn on the feature `std` of handler-sdk in Cargo.toml",
        );
    }
    let holds = |signs: &[&str]| signs.iter().any(|sign| errors.contains(sign));
    REMEDIES.into_iter().find(|(signs, _)| holds(signs)).map(|(_, remedy)| remedy)
}

/// Returns whether the compiler's errors say that the crate being built links `std` itself. Returns
/// `false` if one of its dependencies links `std`.
fn lacks_no_std(errors: &str) -> bool {
    let behind = errors.split_once("first defined in crate `std` (which `").map(|(_, behind)| behind);
    let linking = behind.and_then(|behind| behind.split_once("` depends on)")).map(|(name, _)| name);
    linking.is_some_and(|name| errors.contains(&format!("second definition in the local crate (`{name}`)")))
}

#[cfg(test)]
mod tests {
    use super::of_build;

    #[test]
    fn a_failed_build_names_the_remedy_of_a_usual_mistake() {
        for (errors, remedy) in [
            ("error[E0152]: found duplicate lang item `panic_impl`", "the feature `std`"),
            (
                "error: environment variable `KEY` not defined at compile time\n = help: use `std::env::var(\"KEY\")`",
                "--var KEY=VALUE",
            ),
            ("error: cannot find macro `println` in this scope", "log!(Level::Info"),
            (
                "error[E0599]: no associated function or constant named `json` found for struct `Response<'a>` in the",
                "the feature `json`",
            ),
            (
                "error[E0599]: no method named `to_text` found for struct `Encoded<'a>` in the",
                "the feature `alloc`",
            ),
            (
                "error: ... you may need to enable the \"wasm_js\" crate feature",
                "getrandom_backend=\"custom\"",
            ),
            (
                "error[E0277]: `Encoded<'_>` cannot be the content of a response or of a field",
                "piece.to_text()",
            ),
            (
                "expected fn pointer `for<'a> fn(handler_sdk::Request<'a>) -> handler_sdk::Response<'a>`\n   found fn \
                 item `for<'a> fn(handler_sdk::Request<'a>) -> impl Future<Output = handler_sdk::Response<'a>>",
                "no async fn",
            ),
            (
                "found duplicate lang item `panic_impl`\n  = note: the lang item is first defined in crate `std` (which \
                 `shop` depends on)\n  = note: second definition in the local crate (`shop`)",
                "write #![no_std] at the top",
            ),
            (
                "found duplicate lang item `panic_impl`\n  = note: the lang item is first defined in crate `std` (which \
                 `serde` depends on)\n  = note: second definition in the local crate (`shop`)",
                "turn off its default features",
            ),
            ("error: no global memory allocator found but one is required", "the feature `alloc`"),
            ("error[E0599]: no method named `to_string` found for type `u8`", "the feature `alloc`"),
            ("error: cannot find macro `format` in this scope", "the feature `alloc`"),
            ("error: `#[panic_handler]` function required, but not found", "export!(answer)"),
            ("error[E0106]: missing lifetime\nfn page(request: &Request) -> Response {", "by value"),
        ] {
            assert!(of_build(errors).is_some_and(|found| found.contains(remedy)), "{errors}");
        }
        assert_eq!(of_build("error: mismatched closing delimiter: `}`"), None);
    }
}
