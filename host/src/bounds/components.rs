//! Fixed bounds that apply to components, in addition to those of modules.

use host_wasm::fixed;

use crate::bounds::row::{Row, bytes, count};

pub(super) fn rows() -> Vec<Row> {
    const NOT_SERVED: &str = "the component is not served";
    vec![
        count("Modules and components in a component", fixed::NESTED_MAX, NOT_SERVED),
        count("Components inside each other", fixed::NESTED_DEPTH_MAX, NOT_SERVED),
        count("Types, instances, aliases and so on of a component", fixed::COMPONENT_ITEMS_MAX, NOT_SERVED),
        count("Instances of modules in a component", fixed::CORE_INSTANCES_MAX.into(), NOT_SERVED),
        count("Memories of a component", fixed::MEMORIES_MAX.into(), NOT_SERVED),
        count("Tables of a component", fixed::COMPONENT_TABLES_MAX.into(), NOT_SERVED),
        count(
            "Streams, bodies, field lists and waits of a component's call at a time",
            fixed::RESOURCES_MAX as u64,
            "the call traps",
        ),
        count("Handles of a component's call at a time", fixed::HANDLES_MAX as u64, "the call traps"),
        bytes("Copied from a component at a time", fixed::HOST_COPY_MAX, "the call traps"),
        bytes("Written to a stream of a component at a time", fixed::CHUNK_MAX, "the rest waits"),
        bytes("Random bytes of a component at a time", fixed::RANDOM_MAX, "the call traps"),
    ]
}
