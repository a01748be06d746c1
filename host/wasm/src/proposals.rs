//! The WebAssembly proposals that a module may use. Each proposal is listed as on or off, so that
//! neither a new version of wasmtime nor one of its Cargo features changes what a module can do.

use wasmtime::WasmFeatures as W;

/// Proposals that are on, because compilers use them for handlers.
pub(super) const ON: W = W::FLOATS
    .union(W::MUTABLE_GLOBAL)
    .union(W::SATURATING_FLOAT_TO_INT)
    .union(W::SIGN_EXTENSION)
    .union(W::MULTI_VALUE)
    .union(W::REFERENCE_TYPES)
    .union(W::CALL_INDIRECT_OVERLONG)
    .union(W::BULK_MEMORY)
    .union(W::BULK_MEMORY_OPT)
    .union(W::SIMD)
    .union(W::RELAXED_SIMD)
    .union(W::TAIL_CALL)
    .union(W::EXTENDED_CONST);

/// Proposals that components need in addition to [`ON`]. The code by which two components in one
/// component call each other copies from one memory to another.
pub(super) const OF_COMPONENTS: W = W::COMPONENT_MODEL.union(W::MULTI_MEMORY);

/// Proposals that are off for both kinds of handlers, which have no use for them: addresses have 32
/// bits, and a call has one thread. Those of [`OF_COMPONENTS`] are off for modules.
#[cfg(test)]
const OFF: W = W::THREADS
    .union(W::SHARED_EVERYTHING_THREADS)
    .union(W::MEMORY64)
    .union(W::MEMORY_CONTROL)
    .union(W::CUSTOM_PAGE_SIZES)
    .union(W::GC)
    .union(W::GC_TYPES)
    .union(W::FUNCTION_REFERENCES)
    .union(W::CUSTOM_DESCRIPTORS)
    .union(W::EXCEPTIONS)
    .union(W::LEGACY_EXCEPTIONS)
    .union(W::STACK_SWITCHING)
    .union(W::WIDE_ARITHMETIC)
    .union(W::COMPACT_IMPORTS)
    .union(W::CM_VALUES)
    .union(W::CM_NESTED_NAMES)
    .union(W::CM_ASYNC)
    .union(W::CM_ASYNC_STACKFUL)
    .union(W::CM_MORE_ASYNC_BUILTINS)
    .union(W::CM_THREADING)
    .union(W::CM_ERROR_CONTEXT)
    .union(W::CM_FIXED_LENGTH_LISTS)
    .union(W::CM_GC)
    .union(W::CM_MAP)
    .union(W::CM64)
    .union(W::CM_IMPLEMENTS)
    .union(W::CM_CANON_NAMES);

#[cfg(test)]
mod tests {
    use super::{OF_COMPONENTS, OFF, ON, W};

    #[test]
    fn every_proposal_is_on_or_off() {
        let on = ON.union(OF_COMPONENTS);
        assert!(ON.intersection(OF_COMPONENTS).is_empty() && on.intersection(OFF).is_empty());
        let unnamed: Vec<_> = W::all().difference(on.union(OFF)).iter_names().collect();
        assert!(unnamed.is_empty(), "neither on nor off: {unnamed:?}");
    }
}
