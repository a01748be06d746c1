//! Limits of one connection, as the crate `h2` takes them, and the memory that follows from them.

use h2::server::Builder;

use crate::config::connection::ConnectionLimits;

/// Bytes of a response that wait to be written, for each stream.
const SEND_BUFFER: usize = 64 << 10;

/// What a field counts besides its name and its value, where the length of fields is limited
/// (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

/// Memory of small frames that were not taken in yet, in windows.
const SMALL_FRAMES: usize = 1;

/// Fields of a request besides those that `--fields-max` counts.
const PSEUDO_FIELDS: usize = 5;

/// Memory of a connection besides its streams, its tables and its window, in bytes: buffers for
/// reading and writing of a frame each, and what the crate `h2` keeps.
const CONNECTION: usize = 64 << 10;

/// Returns the most memory of a connection, in bytes: a frame and a table in each direction, a window
/// of bodies that were not taken in yet, and a head that is not counted yet. `--buffer-max` counts the
/// streams.
pub fn memory(limits: &ConnectionLimits) -> u64 {
    let http2 = &limits.http2;
    let fields = (limits.fields_max + PSEUDO_FIELDS) * FIELD;
    let held = 2 * http2.h2_frame_max + 2 * http2.h2_table + (1 + SMALL_FRAMES) * http2.h2_window;
    (CONNECTION + held + limits.head_max + fields) as u64
}

/// Returns what begins a connection within the limits.
pub(super) fn builder(limits: &ConnectionLimits) -> Builder {
    let http2 = &limits.http2;
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let fields = (limits.fields_max + PSEUDO_FIELDS) * FIELD;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(size(http2.h2_streams))
        .initial_window_size(size(http2.h2_window))
        .initial_connection_window_size(size(http2.h2_window))
        .max_frame_size(size(http2.h2_frame_max))
        .header_table_size(size(http2.h2_table))
        // The parser of heads refuses what `--head-max` does not allow, with a response.
        .max_header_list_size(size(limits.head_max + fields))
        .max_send_buffer_size(SEND_BUFFER)
        // What small frames take beside their bytes. A window of them is no attack.
        .data_frame_budget(SMALL_FRAMES * http2.h2_window)
        .max_pending_accept_reset_streams(http2.h2_resets.min(http2.h2_streams));
    builder
}
