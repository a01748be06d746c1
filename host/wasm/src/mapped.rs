//! Files in memory that are mapped over the memories of instances, so that these
//! begin with what the file holds without a copy of it.

#![allow(unsafe_code, reason = "a mapping replaces a part of an instance's memory, and is replaced again")]

use std::io;
use std::ptr::with_exposed_provenance_mut;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

pub(super) use file::File;

/// A part of an instance's memory that a file may be mapped to.
pub(super) struct Laid {
    start: usize,
    length: usize,
}

impl Laid {
    /// The part of that length which begins at `start`. It lies in the memory of an
    /// instance, and begins and ends where pages do.
    pub(super) fn at(start: *mut u8, length: usize) -> Laid {
        Laid { start: start.expose_provenance(), length }
    }

    /// Maps a file there. If that fails, what is there now is not known, and it has
    /// to be cleared.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub(super) fn map(&self, file: &File) -> io::Result<()> {
        file.map_to(self)
    }

    /// Makes it what a memory of wasmtime's pool is when nothing lies there: zero, and
    /// mapped as wasmtime maps it.
    ///
    /// # Errors
    ///
    /// When the system does not let it. The memory must not be used again then.
    pub(super) fn clear(&self) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | NORESERVE;
        // SAFETY: this part belongs to an instance whose store still has it, and no
        // reference to it lives: whoever reads or writes it has borrowed the store,
        // which is with whoever calls this.
        let start =
            unsafe { mmap_anonymous(self.address(), self.length, ProtFlags::READ | ProtFlags::WRITE, flags) };
        start?;
        Ok(())
    }

    fn address(&self) -> *mut std::ffi::c_void {
        with_exposed_provenance_mut(self.start)
    }
}

/// As wasmtime has it: only so do neighbours become one mapping again.
#[cfg(target_os = "linux")]
const NORESERVE: MapFlags = MapFlags::NORESERVE;
#[cfg(not(target_os = "linux"))]
const NORESERVE: MapFlags = MapFlags::empty();

#[cfg(target_os = "linux")]
mod file {
    use std::fs::File as Descriptor;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::ptr::{NonNull, null_mut, slice_from_raw_parts_mut};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::Laid;

    /// A file in memory that never changes, with a view of it.
    pub(in super::super) struct File {
        descriptor: Descriptor,
        view: NonNull<[u8]>,
    }

    // SAFETY: the view is memory that nobody writes to, and that is unmapped when
    // this is dropped; which thread reads it or drops it is all the same.
    unsafe impl Send for File {}
    // SAFETY: as above.
    unsafe impl Sync for File {}

    impl File {
        /// Of this length, and zero but for these pieces.
        ///
        /// # Errors
        ///
        /// When the system gives no such file.
        pub(in super::super) fn of<'a>(
            length: usize,
            pieces: impl Iterator<Item = (usize, &'a [u8])>,
        ) -> io::Result<File> {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let descriptor = Descriptor::from(memfd_create("image", flags)?);
            descriptor.set_len(length as u64)?;
            for (start, piece) in pieces {
                descriptor.write_all_at(piece, start as u64)?;
            }
            // Every instance begins with it: nothing can change it from now on.
            let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
            fcntl_add_seals(&descriptor, seals)?;
            // SAFETY: it replaces no mapping.
            let start =
                unsafe { mmap(null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &descriptor, 0) }?;
            let view = NonNull::new(slice_from_raw_parts_mut(start.cast(), length));
            Ok(File { descriptor, view: view.ok_or(io::ErrorKind::OutOfMemory)? })
        }

        /// What it holds.
        pub(in super::super) fn bytes(&self) -> &[u8] {
            // SAFETY: the view is mapped until this is dropped, it is as long as the
            // file, and neither its length nor its bytes can change, because the file
            // is sealed.
            unsafe { self.view.as_ref() }
        }

        pub(super) fn map_to(&self, laid: &Laid) -> io::Result<()> {
            if laid.length != self.view.len() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | super::NORESERVE;
            // SAFETY: see `Laid::clear`. The mapping is private, so that what the
            // instance writes stays with it.
            unsafe { mmap(laid.address(), laid.length, access, flags, &self.descriptor, 0) }?;
            Ok(())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            // SAFETY: the view was mapped by `of`, and nobody refers to it any more.
            // Should this fail, it stays where it is.
            let _ = unsafe { munmap(self.view.as_ptr().cast(), self.view.len()) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod file {
    use std::io;

    use super::Laid;

    /// There are no such files here.
    pub(in super::super) enum File {}

    impl File {
        /// None.
        ///
        /// # Errors
        ///
        /// Always.
        pub(in super::super) fn of<'a>(
            _: usize,
            _: impl Iterator<Item = (usize, &'a [u8])>,
        ) -> io::Result<File> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(in super::super) fn bytes(&self) -> &[u8] {
            match *self {}
        }

        pub(super) fn map_to(&self, _: &Laid) -> io::Result<()> {
            match *self {}
        }
    }
}
