//! Files in memory that are mapped over instances' memories, copy on write, so that
//! an instance starts with the content of the file without copying all of it.

#![allow(unsafe_code, reason = "maps files over a part of an instance's memory, and restores it")]

use std::fs::File as Descriptor;
use std::io;
use std::ptr::{NonNull, null_mut, slice_from_raw_parts_mut, with_exposed_provenance_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A part of an instance's memory that a file is mapped over.
pub(super) struct Mapping {
    start: usize,
    length: usize,
}

impl Mapping {
    /// Describes `length` bytes at `start`. They must lie in the memory of an instance,
    /// and begin and end at page boundaries.
    pub(super) fn at(start: *mut u8, length: usize) -> Mapping {
        Mapping { start: start.expose_provenance(), length }
    }

    /// Restores this part of the memory to what wasmtime's pool expects: zeros, mapped with
    /// wasmtime's own flags.
    ///
    /// # Errors
    ///
    /// When the system refuses the mapping. The memory must not be used again after an error.
    pub(super) fn clear(&self) -> io::Result<()> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: this part belongs to an instance whose store is still alive. No reference
        // into it exists, because each would borrow the store, which the caller owns.
        unsafe { mmap_anonymous(self.address(), self.length, access, flags | NORESERVE) }?;
        Ok(())
    }

    fn address(&self) -> *mut std::ffi::c_void {
        with_exposed_provenance_mut(self.start)
    }
}

/// Flag of mappings over an instance's memory. wasmtime uses the flag too, and the kernel merges
/// neighbouring mappings only if their flags are equal.
#[cfg(target_os = "linux")]
const NORESERVE: MapFlags = MapFlags::NORESERVE;
#[cfg(not(target_os = "linux"))]
const NORESERVE: MapFlags = MapFlags::empty();

/// A sealed file in memory, and a read-only mapping of the file.
pub(super) struct File {
    descriptor: Descriptor,
    view: NonNull<[u8]>,
}

// SAFETY: nothing writes to the view, and it is unmapped when this is dropped. Any
// thread may read or unmap it.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

impl File {
    /// Creates a file in memory of `length` zero bytes with pieces written over them, each at its
    /// offset.
    ///
    /// # Errors
    ///
    /// When the system refuses to create, fill, seal or map the file.
    pub(super) fn of<'a>(length: usize, pieces: impl Iterator<Item = (usize, &'a [u8])>) -> io::Result<File> {
        let descriptor = sealed(length, pieces)?;
        // SAFETY: without MAP_FIXED, no existing mapping is replaced.
        let start = unsafe { mmap(null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &descriptor, 0) }?;
        let view = NonNull::new(slice_from_raw_parts_mut(start.cast(), length));
        Ok(File { descriptor, view: view.ok_or(io::ErrorKind::OutOfMemory)? })
    }

    /// Returns the content of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the view is mapped until this is dropped and has the length of the
        // file. Neither length nor content can change, because the file is sealed.
        unsafe { self.view.as_ref() }
    }

    /// Maps this file over a part of an instance's memory.
    ///
    /// # Errors
    ///
    /// When the part and the file differ in length, or the system refuses the mapping. After an
    /// error the content of the part is unknown, and must be cleared with [`Mapping::clear`].
    pub(super) fn map_over(&self, part: &Mapping) -> io::Result<()> {
        if part.length != self.view.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: see `Mapping::clear`. The mapping is private, so an instance's writes
        // never reach the file.
        unsafe { mmap(part.address(), part.length, access, flags | NORESERVE, &self.descriptor, 0) }?;
        Ok(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: `of` mapped the view, and no reference to it is left. If unmapping
        // fails, the view leaks, which is harmless.
        let _ = unsafe { munmap(self.view.as_ptr().cast(), self.view.len()) };
    }
}

/// Creates a file in memory of `length` zero bytes with pieces written over them, each at its
/// offset. Seals prevent any later change, because every instance starts from the file.
#[cfg(target_os = "linux")]
fn sealed<'a>(length: usize, pieces: impl Iterator<Item = (usize, &'a [u8])>) -> io::Result<Descriptor> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::os::unix::fs::FileExt;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let descriptor = Descriptor::from(memfd_create("image", flags)?);
    descriptor.set_len(length as u64)?;
    for (start, piece) in pieces {
        descriptor.write_all_at(piece, start as u64)?;
    }
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&descriptor, seals)?;
    Ok(descriptor)
}

/// Returns an error, because only Linux has files in memory that can be sealed.
#[cfg(not(target_os = "linux"))]
fn sealed<'a>(_: usize, _: impl Iterator<Item = (usize, &'a [u8])>) -> io::Result<Descriptor> {
    Err(io::ErrorKind::Unsupported.into())
}
