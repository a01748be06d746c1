//! Remedies for crates that do not build.

/// Returns the remedy for a crate that does not build, if its compiler's errors show
/// one of the usual mistakes.
pub(super) fn of_build(errors: &str) -> Option<&'static str> {
    const REMEDIES: [(&[&str], &str); 4] = [
        (
            &["lang item `panic_impl`", "duplicate lang item"],
            "a crate links the standard library: turn off its default features, or turn on the feature `std` of \
             handler-sdk in Cargo.toml, and remove #![no_std] from src/lib.rs; or export! stands twice",
        ),
        (
            &[
                "no global memory allocator found",
                "cannot find macro `format`",
                "cannot find macro `vec`",
                "no method named `to_string`",
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
    ];
    let holds = |signs: &[&str]| signs.iter().any(|sign| errors.contains(sign));
    REMEDIES.into_iter().find(|(signs, _)| holds(signs)).map(|(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::of_build;

    #[test]
    fn a_failed_build_names_the_remedy_of_a_usual_mistake() {
        for (errors, remedy) in [
            ("error[E0152]: found duplicate lang item `panic_impl`", "the feature `std`"),
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
