//! The default handler, written in Rust without the SDK. Shows the work that the SDK does for a
//! module.
//!
//! For each request, the host calls `alloc` and `handle` once, and then resets all memory. So this
//! code never frees memory, and writes to a static are lost after the request.

#![no_std]

use core::arch::wasm32;

/// Size of a WebAssembly page in bytes. Memory grows by whole pages.
const PAGE: u64 = 65_536;

/// Builds a response with an HTML page at compile time. The host adds `content-length` and `date`,
/// and accepts lines that end in LF without CR.
macro_rules! page {
    ($status:literal, $fields:literal, $page:literal) => {
        concat!("HTTP/1.1 ", $status, "\n", $fields, "content-type: text/html; charset=utf-8\n\n", $page)
    };
}

const INDEX: &str = page!("200 OK", "", "<h1> hello index</h1>");
const ROUTE: &str = page!("200 OK", "", "<h1> hello route</h1>");
const NOT_FOUND: &str = page!("404 page not found", "", "<h1>error 404 not found</h1>");
const NOT_ALLOWED: &str = page!(
    "405 method is not allowed",
    "allow: GET, HEAD, OPTIONS\n",
    "<h1>error 405 method not allowed</h1>"
);
const OPTIONS: &str = "HTTP/1.1 204 No Content\nallow: GET, HEAD, OPTIONS\n\n";

unsafe extern "C" {
    /// Symbol that the linker places at the first address after the stack and the data.
    static __heap_base: u8;
}

/// Reserves memory for a request of `length` bytes. Returns the address at which the host will
/// write the request, or 0 if there is no room; the client then gets status 413. Grows the memory
/// only if necessary, because the host cannot reuse an instance whose memory has grown, and a new
/// instance takes time to create.
#[unsafe(no_mangle)]
extern "C" fn alloc(length: u32) -> u32 {
    let start = (&raw const __heap_base).addr();
    let pages = (start as u64 + u64::from(length)).div_ceil(PAGE) as usize;
    let missing = pages.saturating_sub(wasm32::memory_size::<0>());
    if missing > 0 && wasm32::memory_grow::<0>(missing) == usize::MAX { 0 } else { start as u32 }
}

/// Handles the request that the host has written at `address`. Returns the address and the length
/// of the response, packed into one number.
///
/// # Safety
///
/// `address` is what `alloc` returned for `length`, and the host has written the request
/// there.
#[unsafe(no_mangle)]
unsafe extern "C" fn handle(address: u32, length: u32) -> u64 {
    // SAFETY: the host guarantees what is required above.
    let request = unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) };
    let response = answer(request);
    (response.as_ptr().addr() as u64) << 32 | response.len() as u64
}

/// Returns the response to a request. The request is an HTTP message that begins with
/// `METHOD target HTTP/1.1`, and the host has validated it.
fn answer(request: &[u8]) -> &'static str {
    let mut words = request.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    // Ignores the query.
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let page = match path {
        b"/" => Some(INDEX),
        b"/route" => Some(ROUTE),
        _ => None,
    };
    match method {
        // HEAD is answered like GET: the host leaves out the body.
        b"GET" | b"HEAD" => page.unwrap_or(NOT_FOUND),
        b"OPTIONS" if page.is_some() || path == b"*" => OPTIONS,
        b"OPTIONS" => NOT_FOUND,
        _ => NOT_ALLOWED,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}
