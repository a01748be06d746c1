//! How many mappings of memory the instances may have. A process has a limit on
//! them (`vm.max_map_count`), and one that runs into it cannot make instances any
//! more, nor threads.

use super::engine::EngineError;

/// Most stretches of pages that an instance may have written to and still be used
/// again.
const STRETCHES_MAX: u32 = 64;

/// With fewer, hardly any instance would be used again: a call writes to its stack,
/// its data and its heap.
const STRETCHES_MIN: usize = 4;

/// Mappings for each stretch: its own, and one behind it.
const OF_STRETCH: usize = 2;

/// Mappings for an instance without any: three for its memory, which an image may
/// divide, one for what it has not grown to, and two for its stack.
const OF_INSTANCE: usize = 6;

/// Mappings for everything else: programs, threads, versions, large buffers.
const OF_OTHERS: usize = 4096;

/// Linux's default.
const LIMIT_BY_DEFAULT: usize = 65_530;

/// How many stretches each of these instances may have, so that all of them fit.
///
/// # Errors
///
/// When not even a few do.
pub(super) fn stretches(instances: usize) -> Result<u32, EngineError> {
    stretches_within(instances, limit())
}

fn stretches_within(instances: usize, limit: usize) -> Result<u32, EngineError> {
    let each = limit.saturating_sub(OF_OTHERS) / instances.max(1);
    let stretches = each.saturating_sub(OF_INSTANCE) / OF_STRETCH;
    if stretches < STRETCHES_MIN {
        let needed = instances.saturating_mul(OF_INSTANCE + STRETCHES_MIN * OF_STRETCH);
        return Err(EngineError::Mappings { needed: needed.saturating_add(OF_OTHERS), limit });
    }
    Ok(u32::try_from(stretches).map_or(STRETCHES_MAX, |stretches| stretches.min(STRETCHES_MAX)))
}

fn limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(LIMIT_BY_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::{LIMIT_BY_DEFAULT, OF_INSTANCE, OF_OTHERS, OF_STRETCH, stretches_within};

    #[test]
    fn all_instances_fit_with_all_their_stretches() {
        assert_eq!(stretches_within(130, LIMIT_BY_DEFAULT).unwrap(), 64);
        for instances in [1, 10, 500, 1000, 3002, 4000] {
            let stretches = stretches_within(instances, LIMIT_BY_DEFAULT).unwrap() as usize;
            let all = instances * (OF_INSTANCE + stretches * OF_STRETCH) + OF_OTHERS;
            assert!(all <= LIMIT_BY_DEFAULT, "{instances} with {stretches}");
        }
    }

    #[test]
    fn where_not_even_a_few_fit_it_is_said_what_would() {
        let error = stretches_within(5000, LIMIT_BY_DEFAULT).unwrap_err().to_string();
        assert_eq!(
            error,
            "the instances may need 74096 mappings of memory, and a process may have 65530: \
             fewer instances (--instances), or a higher vm.max_map_count"
        );
        assert!(stretches_within(1, 0).is_err());
    }
}
