//! The routes of the default handler, in Zig.
//!
//! The host makes one call of `alloc` and one of `handle` for a request, and then
//! puts all memory back as it was before. So nothing here is ever freed, and what
//! is written to a global is gone with the request.

const std = @import("std");

/// WebAssembly's unit of memory.
const page = 65536;

// The host adds `content-length` and `date`; lines may end in LF alone.
const html = "content-type: text/html; charset=utf-8\n\n";
const allow = "allow: GET, HEAD, OPTIONS\n";

const index = "HTTP/1.1 200 OK\n" ++ html ++ "<h1> hello index</h1>";
const route = "HTTP/1.1 200 OK\n" ++ html ++ "<h1> hello route</h1>";
const not_found = "HTTP/1.1 404 page not found\n" ++ html ++ "<h1>error 404 not found</h1>";
const not_allowed = "HTTP/1.1 405 method is not allowed\n" ++ allow ++ html ++ "<h1>error 405 method not allowed</h1>";
const options = "HTTP/1.1 204 No Content\n" ++ allow ++ "\n";

/// The linker places this at the first address past the stack and the data.
extern var __heap_base: u8;

/// Says where the request may be written; 0 means no room, and the client gets
/// 413. Memory grows only where it has to: an instance whose memory grew cannot
/// be used again, and that takes time.
export fn alloc(length: u32) u32 {
    const start: u32 = @intCast(@intFromPtr(&__heap_base));
    const end = @as(u64, start) + length;
    const pages: u64 = (end + page - 1) / page;
    const present: u64 = @wasmMemorySize(0);
    if (pages > present and @wasmMemoryGrow(0, @intCast(pages - present)) == -1) return 0;
    return start;
}

/// Answers the request at this address with the response's address and length,
/// packed in one number.
export fn handle(request: [*]const u8, length: u32) u64 {
    const response = answer(request[0..length]);
    return @as(u64, @intFromPtr(response.ptr)) << 32 | response.len;
}

/// The request is one message, `METHOD target HTTP/1.1` and so on. The host has
/// checked it, so the request line has its two spaces.
fn answer(request: []const u8) []const u8 {
    const method = std.mem.sliceTo(request, ' ');
    const target = std.mem.sliceTo(request[method.len + 1 ..], ' ');
    // The query takes no part in the choice.
    const path = std.mem.sliceTo(target, '?');
    const page_of_path: ?[]const u8 = if (is(path, "/")) index else if (is(path, "/route")) route else null;

    // HEAD is answered like GET: the host keeps the body to itself.
    if (is(method, "GET") or is(method, "HEAD")) return page_of_path orelse not_found;
    if (is(method, "OPTIONS")) return if (page_of_path != null or is(path, "*")) options else not_found;
    return not_allowed;
}

fn is(bytes: []const u8, text: []const u8) bool {
    return std.mem.eql(u8, bytes, text);
}
