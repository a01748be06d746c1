//! Keeps the number of memory mappings of all instances within the limit of a process
//! (`vm.max_map_count`). A process at that limit can create neither instances nor threads.
//!
//! A stretch is a range of adjacent pages that was made writable in one step (see `pages`). It is a
//! memory mapping of its own.

use crate::engine_error::EngineError;

/// Maximum number of stretches (ranges of adjacent written pages) with which an instance is still
/// reset and reused.
pub const STRETCHES_MAX: u32 = 64;

/// Minimum number of stretches for each instance. A call writes to its stack, its data and its
/// heap, so with fewer stretches hardly any instance would be reused.
const STRETCHES_MIN: usize = 4;

/// Number of memory mappings for each stretch: the stretch itself, and the read-only rest of the
/// memory behind it.
const PER_STRETCH: usize = 2;

/// Number of memory mappings of an instance without stretches: three for its memory, which an image
/// may split, one for the address space into which the memory may grow, and two for its stack.
const PER_INSTANCE: usize = 6;

/// Number of memory mappings that are reserved for everything but instances: program files,
/// threads, versions, large buffers.
const OTHER_MAPPINGS: usize = 4096;

/// Linux's default for `vm.max_map_count`.
const DEFAULT_LIMIT: usize = 65_530;

/// Returns how many stretches each instance may have, so that all instances fit the process's limit
/// on memory mappings.
///
/// # Errors
///
/// [`EngineError::Mappings`] when not even [`STRETCHES_MIN`] stretches for each instance fit.
pub(super) fn stretches(instances: usize) -> Result<u32, EngineError> {
    stretches_within(instances, limit())
}

fn stretches_within(instances: usize, limit: usize) -> Result<u32, EngineError> {
    let each = limit.saturating_sub(OTHER_MAPPINGS) / instances.max(1);
    let stretches = each.saturating_sub(PER_INSTANCE) / PER_STRETCH;
    if stretches < STRETCHES_MIN {
        let needed = instances.saturating_mul(PER_INSTANCE + STRETCHES_MIN * PER_STRETCH);
        return Err(EngineError::Mappings { needed: needed.saturating_add(OTHER_MAPPINGS), limit });
    }
    Ok(u32::try_from(stretches).map_or(STRETCHES_MAX, |stretches| stretches.min(STRETCHES_MAX)))
}

fn limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_LIMIT, OTHER_MAPPINGS, PER_INSTANCE, PER_STRETCH, stretches_within};

    #[test]
    fn all_instances_fit_with_all_their_stretches() {
        assert_eq!(stretches_within(130, DEFAULT_LIMIT).unwrap(), 64);
        for instances in [1, 10, 500, 1000, 3002, 4000] {
            let stretches = stretches_within(instances, DEFAULT_LIMIT).unwrap() as usize;
            let all = instances * (PER_INSTANCE + stretches * PER_STRETCH) + OTHER_MAPPINGS;
            assert!(all <= DEFAULT_LIMIT, "{instances} with {stretches}");
        }
    }

    #[test]
    fn too_many_instances_are_an_error_that_names_what_is_needed() {
        let error = stretches_within(5000, DEFAULT_LIMIT).unwrap_err().to_string();
        assert_eq!(
            error,
            "the instances may need 74096 memory mappings, but a process may have only 65530 \
             (reduce --instances, or raise vm.max_map_count)"
        );
        assert!(stretches_within(1, 0).is_err());
    }
}
