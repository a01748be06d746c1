//! Exports of a module, and the unsafe code that they need: conversions between addresses
//! and slices. [`export!`](crate::export!) defines the exports of
//! [`abi`](crate::abi), which call this file.
//!
//! Memory is used from the bottom up: stack, data, the request, allocations of the
//! handler, the response. Every request starts from fresh memory, so nothing has to be
//! freed.

/// Exports a function `fn(Request) -> Response` as the handler of this module. Use the
/// macro once, in the crate that is built into the module.
///
/// ```
/// # use handler_sdk::{Request, Response};
/// # fn answer(_: Request<'_>) -> Response<'_> { Response::new(handler_sdk::Status::OK) }
/// handler_sdk::export!(answer);
/// ```
///
/// ```
/// # use handler_sdk::{Request, Response};
/// # fn answer(_: Request<'_>) -> Response<'_> { Response::new(handler_sdk::Status::OK) }
/// # use handler_sdk::State;
/// # static TABLE: State<u32> = State::new(|| 1);
/// # static PAGES: State<u32> = State::new(|| 2);
/// handler_sdk::export!(answer, prepare = [TABLE, PAGES]);
/// ```
///
/// ```
/// # use handler_sdk::{Request, Response};
/// # fn answer(_: Request<'_>) -> Response<'_> { Response::new(handler_sdk::Status::OK) }
/// # use handler_sdk::State;
/// # static NAME: State<&str> = State::new(|| handler_sdk::values::get("NAME").unwrap_or_default());
/// handler_sdk::export!(answer, values, prepare = [NAME]);
/// ```
///
/// With `values`, the module gets the [values](crate::values) of its site.
///
/// With `prepare`, each listed [`State`](crate::State) is computed once, when a version of the
/// module starts, and every request finds the result. The function that computes a state may read
/// the values.
///
/// The macro also defines the panic handler. A crate that links the standard library, perhaps only
/// through a dependency, already has the panic handler of the standard library. For such a crate,
/// turn on the SDK's feature `std`: a panic hook then passes the panic message to the host.
///
/// On targets other than WebAssembly, the macro only checks its arguments, so that the crate can be
/// tested natively.
#[macro_export]
macro_rules! export {
    ($answer:path, values $(, prepare = [$($state:path),* $(,)?])? $(,)?) => {
        $crate::__export_values!($($($state),*)?);
        $crate::export!($answer);
    };
    ($answer:path $(, prepare = [$($state:path),* $(,)?])? $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn alloc(length: u32) -> u32 {
                $crate::export::alloc(length)
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle(address: u32, length: u32) -> u64 {
                let request = $crate::abi::Span { address, length };
                // SAFETY: by the contract, the host passes a span that `alloc`
                // returned and that the host has filled.
                unsafe { $crate::export::handle(request, $answer) }.pack()
            }

            #[unsafe(no_mangle)]
            extern "C" fn panic_message() -> u64 {
                $crate::export::panic_message().pack()
            }

            $crate::__on_start_and_panic!($($($crate::State::get(&$state);)*)?);
        };

        #[cfg(not(target_arch = "wasm32"))]
        extern crate std as _;
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const _: $crate::Action = $answer;
            $( const _: fn() = || { $($crate::State::get(&$state);)* }; )?
        };
    };
}

/// Defines the panic handler, and the export `_initialize` if there are states to prepare. Part of
/// [`export!`](crate::export!). It is a separate macro, because a `cfg` inside
/// [`export!`](crate::export!) would test the features of the crate that uses the macro, not those
/// of the SDK.
#[cfg(not(feature = "std"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __on_start_and_panic {
    () => {
        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::export::panic(info)
        }
    };
    ($($prepare:tt)+) => {
        #[unsafe(no_mangle)]
        extern "C" fn _initialize() {
            $($prepare)+
        }

        $crate::__on_start_and_panic!();
    };
}

/// Defines the export `_initialize`, which sets the panic hook and prepares the states; replaces
/// the macro above if the SDK's feature `std` is on. The standard library defines the panic
/// handler, which calls the hook.
#[cfg(feature = "std")]
#[doc(hidden)]
#[macro_export]
macro_rules! __on_start_and_panic {
    ($($prepare:tt)*) => {
        #[unsafe(no_mangle)]
        extern "C" fn _initialize() {
            $crate::export::set_panic_hook();
            $($prepare)*
        }
    };
}

#[cfg(all(target_arch = "wasm32", not(feature = "std")))]
pub use wasm::panic;
#[cfg(all(target_arch = "wasm32", feature = "std"))]
pub use wasm::set_panic_hook;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{Once, leak, log};
#[cfg(target_arch = "wasm32")]
pub use wasm::{alloc, handle, panic_message};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::native::{Once, leak, log};

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the contract hands over addresses, and Rust wants slices")]
#[allow(clippy::panic, reason = "a panic is how a module ends a request that it cannot answer")]
mod wasm {
    use crate::abi::{NO_ROOM, Span};
    use crate::log::Level;
    use crate::text::Text;
    use crate::{Action, respond};
    #[cfg(feature = "alloc")]
    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::wasm32;
    use core::cell::{OnceCell, UnsafeCell};
    use core::fmt::{Display, Write as _};
    use core::panic::Location;
    #[cfg(not(feature = "std"))]
    use core::panic::PanicInfo;
    #[cfg(feature = "alloc")]
    use core::ptr;
    use core::slice;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Size of a WebAssembly page in bytes: the unit in which memory grows.
    const PAGE: u64 = 65_536;
    /// Alignment of all allocations in bytes. No primitive type needs a larger one.
    const ALIGNMENT: u64 = 16;
    /// Maximum length of the stored panic message, in bytes; the rest is cut off.
    const PANIC_TEXT_MAX: usize = 512;

    /// First free address in the memory; 0 before the first allocation.
    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// Implements the export `alloc`: reserves `length` bytes of memory. Returns their address, or
    /// [`NO_ROOM`].
    pub fn alloc(length: u32) -> u32 {
        reserve(length).unwrap_or(NO_ROOM)
    }

    /// Implements the export `handle`: answers a request, and returns the span of the encoded
    /// response.
    ///
    /// # Safety
    ///
    /// `request` must be a span that [`alloc`] has returned and that the host has filled. Each span
    /// must be passed only once.
    pub unsafe fn handle(request: Span, answer: Action) -> Span {
        // SAFETY: the caller guarantees that `alloc` returned these addresses and that
        // the bytes are filled. Nobody else has them, so nothing writes to them while
        // they are borrowed. A slice must not begin at address 0, which a host may pass
        // for an empty request.
        let request = match request.length {
            0 => &[],
            length => unsafe { slice::from_raw_parts(request.address as *const u8, length as usize) },
        };
        let response = respond(request, answer);
        // Most responses fit into the rest of the memory, where they are written
        // without being measured first.
        if let Some(length) = response.encode(rest_of_memory()) {
            return Span { address: next_free(), length: length as u32 };
        }
        let length = response.encoded_len();
        let room = u32::try_from(length).ok().and_then(|length| Some((reserve(length)?, length)));
        let Some((address, length)) = room else {
            panic!("no room in memory for the response");
        };
        // SAFETY: `reserve` has given these addresses to nobody else. They lie inside
        // the memory, which WebAssembly has filled with zeros.
        let bytes = unsafe { slice::from_raw_parts_mut(address as *mut u8, length as usize) };
        match response.encode(bytes) {
            Some(_) => Span { address, length },
            None => panic!("a response was longer than it had said"),
        }
    }

    /// Allocates `length` bytes, which stay allocated until the end of the request.
    pub(crate) fn leak(length: usize) -> &'static mut [u8] {
        let address = u32::try_from(length).ok().and_then(reserve);
        let Some(address) = address else {
            panic!("no room in memory for a part of the response");
        };
        // SAFETY: `reserve` has given these addresses to nobody else. They lie inside
        // the memory, all bytes of which have a value.
        unsafe { slice::from_raw_parts_mut(address as *mut u8, length) }
    }

    /// Reserves the next free range of memory, growing the memory as needed. Returns the address of
    /// the range, or `None` if the memory cannot grow enough.
    ///
    /// All memory past the module's data belongs to this function, so a module that uses the SDK
    /// must have no other allocator. The allocator of the feature `alloc` calls this function.
    fn reserve(length: u32) -> Option<u32> {
        let start = next_free();
        let end = u64::from(start) + u64::from(length);
        let next = u32::try_from(end.next_multiple_of(ALIGNMENT)).ok()?;

        let missing = end.saturating_sub(memory_end()).div_ceil(PAGE);
        // -1, all bits set, is WebAssembly's answer for "cannot grow".
        if missing > 0 && wasm32::memory_grow::<0>(missing as usize) == usize::MAX {
            return None;
        }
        NEXT.store(next, Relaxed);
        Some(start)
    }

    /// Returns the first free address, which is aligned.
    fn next_free() -> u32 {
        unsafe extern "C" {
            /// Symbol that the linker places at the first address after the stack and the data,
            /// aligned.
            static __heap_base: u8;
        }
        match NEXT.load(Relaxed) {
            0 => (&raw const __heap_base).addr() as u32,
            next => next,
        }
    }

    /// Returns the address just past the end of the memory.
    fn memory_end() -> u64 {
        wasm32::memory_size::<0>() as u64 * PAGE
    }

    /// Returns all memory from the first free address to the end, without growing the memory.
    fn rest_of_memory<'a>() -> &'a mut [u8] {
        let start = next_free();
        let length = memory_end().saturating_sub(u64::from(start));
        // SAFETY: nobody else has these addresses. Only `handle` calls this function, at
        // a time when the request is answered and nothing more is allocated.
        unsafe { slice::from_raw_parts_mut(start as *mut u8, length as usize) }
    }

    /// Allocator that hands out memory from the bottom up. Can free only the latest allocation,
    /// because a request ends soon and the host then resets all memory.
    #[cfg(feature = "alloc")]
    struct Heap;

    #[cfg(feature = "alloc")]
    #[global_allocator]
    static HEAP: Heap = Heap;

    // SAFETY: `reserve` gives each address to one owner only, aligned to
    // `ALIGNMENT`. A block that needs a larger alignment gets a longer range, in
    // which it begins at the next aligned address. Only the last range is ever
    // taken back, so nothing lies behind it.
    #[cfg(feature = "alloc")]
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let align = layout.align() as u32;
            let padding = align.saturating_sub(ALIGNMENT as u32);
            let length = (layout.size() as u32).checked_add(padding);
            let start = length.and_then(reserve).unwrap_or(NO_ROOM);
            start.next_multiple_of(align) as *mut u8
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if is_last(block, layout) {
                NEXT.store(block.addr() as u32, Relaxed);
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if is_last(block, layout) {
                NEXT.store(block.addr() as u32, Relaxed);
                if reserve(size as u32).is_some() {
                    return block;
                }
                NEXT.store(end_of(block, layout), Relaxed);
                return ptr::null_mut();
            }
            if size <= layout.size() {
                return block;
            }
            // SAFETY: the caller guarantees that `block` has this layout and gives it
            // up. A new block lies behind all others, so the two do not overlap.
            unsafe {
                let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size());
                }
                moved
            }
        }
    }

    /// Returns whether a block is the latest allocation, the only one that can be freed.
    #[cfg(feature = "alloc")]
    fn is_last(block: *mut u8, layout: Layout) -> bool {
        end_of(block, layout) == NEXT.load(Relaxed)
    }

    /// Returns the first aligned address after a block. If the block is the latest allocation, this
    /// is the value of `NEXT`.
    #[cfg(feature = "alloc")]
    fn end_of(block: *mut u8, layout: Layout) -> u32 {
        (block.addr() as u32 + layout.size() as u32).next_multiple_of(ALIGNMENT as u32)
    }

    struct PanicText(UnsafeCell<([u8; PANIC_TEXT_MAX], usize)>);

    // SAFETY: a module of this contract has one thread and no interrupts.
    unsafe impl Sync for PanicText {}

    static PANIC_TEXT: PanicText = PanicText(UnsafeCell::new(([0; PANIC_TEXT_MAX], 0)));

    /// Implements the export `panic_message`: returns the span of the panic message, which is empty
    /// if nothing has panicked.
    pub fn panic_message() -> Span {
        // SAFETY: there is one thread, and a panic has ended in a trap before this runs.
        let (text, length) = unsafe { &*PANIC_TEXT.0.get() };
        Span { address: text.as_ptr().addr() as u32, length: *length as u32 }
    }

    /// Stores the message of a panic for [`panic_message`], and traps.
    #[cfg(not(feature = "std"))]
    pub fn panic(info: &PanicInfo<'_>) -> ! {
        store_panic(info.message(), info.location());
        wasm32::unreachable()
    }

    /// Sets a panic hook that stores the message of a panic for [`panic_message`]. The standard
    /// library traps after the hook.
    #[cfg(feature = "std")]
    pub fn set_panic_hook() {
        std::panic::set_hook(std::boxed::Box::new(|info| {
            let message = info.payload_as_str().unwrap_or("a panic whose payload is no text");
            store_panic(message, info.location());
        }));
    }

    #[inline(always)]
    fn store_panic(message: impl Display, location: Option<&Location<'_>>) {
        // SAFETY: there is one thread. A panic while this one is written ends in a
        // trap, so the first borrow is not used again.
        let (room, length) = unsafe { &mut *PANIC_TEXT.0.get() };
        *length = 0;
        let mut text = Text::new(room);
        // Text that does not fit is cut off, so an error here is no failure. The
        // location is written without `write!`, whose number formatting would be a
        // tenth of a small module.
        let _ = write!(text, "{message}");
        if let Some(place) = location {
            let _ = text.write_str(" at ").and_then(|()| text.write_str(place.file()));
            for number in [place.line(), place.column()] {
                let _ = text.write_str(":").and_then(|()| text.write_number(number));
            }
        }
        *length = text.length();
    }

    /// Writes a line to the host's log.
    pub(crate) fn log(level: Level, line: &str) {
        // The names are those of `abi::HOST` and `abi::LOG`; attributes take no
        // constants. A module that never logs does not have the import.
        #[link(wasm_import_module = "host")]
        unsafe extern "C" {
            safe fn log(level: u32, address: u32, length: u32);
        }
        log(level as u32, line.as_ptr().addr() as u32, line.len() as u32);
    }

    /// Value that is computed once and then only read.
    pub(crate) struct Once<T>(OnceCell<T>);

    impl<T> Once<T> {
        pub(crate) const fn new() -> Self {
            Once(OnceCell::new())
        }

        pub(crate) fn get_or_init(&self, make: fn() -> T) -> &T {
            self.0.get_or_init(make)
        }
    }

    // SAFETY: a module of this contract has one thread and no interrupts. The
    // bounds are those that the value needs natively, where there are more threads.
    unsafe impl<T: Send + Sync> Sync for Once<T> {}
}
