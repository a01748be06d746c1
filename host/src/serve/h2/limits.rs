//! Converts the limits of one HTTP/2 connection to settings of the crate `h2`, and computes the
//! maximum memory of a connection from them.

use h2::server::Builder;

use crate::config::connection::ConnectionLimits;

/// Maximum number of bytes of a response that are buffered for sending, for each stream.
const SEND_BUFFER: usize = 64 << 10;

/// Number of bytes that each field adds to the size of a field section, besides its name and its
/// value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

/// Maximum overhead of small DATA frames that were not read yet, as a multiple of the flow-control
/// window.
const SMALL_FRAMES: usize = 1;

/// Maximum number of pseudo-header fields of a request, which `--fields-max` does not count.
const PSEUDO_FIELDS: usize = 5;

/// Memory of a connection besides its streams, header tables and window, in bytes: a read buffer, a
/// write buffer, and the state of the crate `h2`.
const CONNECTION: usize = 64 << 10;

/// Returns the maximum memory of a connection, in bytes: a frame and a header table in each
/// direction, a window of body data that was not read yet, and the head that is being received. The
/// memory of streams is not included, because `--buffer-max` limits it.
pub fn memory(limits: &ConnectionLimits) -> u64 {
    let http2 = &limits.http2;
    let fields = (limits.fields_max + PSEUDO_FIELDS) * FIELD;
    let held = 2 * http2.h2_frame_max + 2 * http2.h2_table + (1 + SMALL_FRAMES) * http2.h2_window;
    (CONNECTION + held + limits.head_max + fields) as u64
}

/// Returns the builder of connections with these limits.
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
