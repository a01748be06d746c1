//! Folder that only this user can change, for kept versions, recorded requests and the default
//! control socket. The folder is opened once and used through its file descriptor, so another user
//! cannot replace it by another folder. Files in the folder are used only if they are regular, belong
//! to this user, and have no other hard link.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::files::own_file;
use crate::files::own_file::{CAREFUL, FILE_MODE};

/// Mode of new folders: read, write and search for the owner, nothing for others.
const FOLDER_MODE: u32 = 0o700;

/// Mode bits that let users other than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// Maximum number of entries of a folder. Listing a folder with more entries fails. The number is
/// twice the largest value of `--record-max`.
pub(crate) const ENTRIES_MAX: usize = 200_000;

/// Unit of file sizes in bytes: [`PrivateFolder::replace`] pads a file to a multiple of it.
const ROOM: usize = 16 << 10;

/// Folder that only this user can change.
pub struct PrivateFolder {
    path: PathBuf,
    folder: File,
    /// Whether the mode of the folder gives other users no access. The modes of the files in it
    /// then do not matter.
    pub is_closed: bool,
    /// Whether the folder was created when it was opened.
    is_new: bool,
    lock: Option<(OsString, File)>,
}

impl PrivateFolder {
    /// Opens a folder. Creates the folder and its parents if nothing is at the path.
    ///
    /// # Errors
    ///
    /// One line that says what was found instead of a folder of this user, and how to fix it.
    pub fn open(path: &Path) -> anyhow::Result<PrivateFolder> {
        // Removes a trailing slash: with it, opening would follow a symbolic link.
        let path: PathBuf = path.components().collect();
        let mut opened = open_folder(&path);
        let is_new = matches!(opened, Err(Errno::NOENT));
        if is_new {
            let created = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path);
            created.map_err(|error| {
                anyhow!("it does not exist and cannot be created ({error}); expected a folder of this user, or a place for one")
            })?;
            opened = open_folder(&path);
        }
        let folder = opened.map_err(|error| instead_of_a_folder(&path, error))?;
        check_folder(&folder.metadata()?)?;
        if is_new {
            // Sets the mode regardless of the umask.
            rustix::fs::fchmod(&folder, Mode::from_raw_mode(FOLDER_MODE))?;
        }
        let is_closed = folder.metadata()?.mode() & 0o077 == 0;
        Ok(PrivateFolder { path, folder, is_closed, is_new, lock: None })
    }

    /// Returns the path of the file `name` in the folder, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the folder was created when it was opened.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Locks the file `name` in the folder until the [`PrivateFolder`] is dropped. Creates the file
    /// if there is none.
    ///
    /// # Errors
    ///
    /// When another server holds the lock, or the file cannot be used as a lock.
    pub fn lock(&mut self, name: &OsStr) -> anyhow::Result<()> {
        let file = own_file::lock(&self.folder, name, &self.path.join(name))?;
        self.lock = Some((name.to_owned(), file));
        Ok(())
    }

    /// Returns the lock file that [`PrivateFolder::lock`] has locked, if any.
    pub fn held_lock(&self) -> Option<&File> {
        self.lock.as_ref().map(|(_, file)| file)
    }

    /// Removes the lock file of the folder, if this process has locked one, and releases the lock.
    pub fn remove_lock(&mut self) {
        if let Some((name, file)) = self.lock.take() {
            own_file::remove_lock(&self.folder, &name, &file);
        }
    }

    /// Checks that the folder and its lock file are still at their paths, and that only
    /// this user can change the folder.
    ///
    /// # Errors
    ///
    /// One line that says whether the folder or the lock file was moved, or what is wrong with the
    /// folder.
    pub fn check(&self) -> io::Result<()> {
        let moved = |what| {
            let what = format!("{what} was moved or replaced since the server started; restart the server");
            Err(io::Error::other(what))
        };
        let opened = self.folder.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(found) if is_same(&found, &opened) => check_folder(&opened)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return moved("the folder"),
        }
        let Some((name, lock)) = &self.lock else {
            return Ok(());
        };
        let lock = lock.metadata()?;
        match self.look(name) {
            Ok(found) if is_same(&found, &lock) => Ok(()),
            _ => moved("its lock"),
        }
    }

    /// Reads the file `name` in the folder.
    ///
    /// # Errors
    ///
    /// When the file is longer than `max` bytes, is not regular, or can be changed by
    /// others.
    pub fn read(&self, name: &str, max: usize) -> io::Result<Vec<u8>> {
        own_file::read_at_most(&self.open_own(name, OFlags::RDONLY)?, max)
    }

    /// Writes a file atomically: writes to a temporary name, and renames the file at the end.
    ///
    /// # Errors
    ///
    /// When [`PrivateFolder::check`] fails, or the file cannot be written. The temporary file is
    /// then removed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_aside(name, |file| file.write_all(bytes))
    }

    /// Writes a file atomically, and syncs the file and the folder to disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or synced.
    pub fn write_durably(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_aside(name, |file| file.write_all(bytes).and_then(|()| file.sync_all()))?;
        // Syncs the folder too, because it holds the new name.
        self.folder.sync_all()
    }

    fn write_aside(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        self.check()?;
        let aside = aside(name);
        let mut file = self.create(&aside)?;
        let written = file.try_lock().map_err(io::Error::from).and_then(|()| write(&mut file));
        let written = written.and_then(|()| self.rename(&aside, name));
        written.inspect_err(|_| {
            let _ = self.unlink(&aside);
        })
    }

    /// Replaces a small text file durably, even on a full disk. Writes the text into a spare file,
    /// whose disk space was allocated before, and exchanges the names of the two files. So the old
    /// file becomes the next spare file. The text is padded with spaces to a multiple of 16 KiB.
    ///
    /// # Errors
    ///
    /// When the text cannot be written. The old file then remains.
    pub fn replace(&self, name: &str, text: &[u8]) -> io::Result<()> {
        self.check()?;
        let length = text.len().next_multiple_of(ROOM);
        let file = self.spare(name, length)?;
        let mut filled = text.to_vec();
        filled.resize(length, b' ');
        file.write_all_at(&filled, 0)?;
        file.set_len(length as u64)?;
        file.sync_all()?;
        let spare = spare(name);
        match rustix::fs::renameat_with(&self.folder, &spare, &self.folder, name, RenameFlags::EXCHANGE) {
            // Renames when there is no old file, or the file system cannot exchange names.
            Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.rename(&spare, name)?
            }
            other => other?,
        }
        self.folder.sync_all()?;
        // May fail: without a spare, the next replacement needs free disk space.
        let _ = self.spare(name, length);
        Ok(())
    }

    /// Allocates disk space for the text file `name`, so that the first [`PrivateFolder::replace`]
    /// of the file succeeds even on a full disk.
    ///
    /// # Errors
    ///
    /// When the space cannot be allocated.
    pub fn set_room_aside(&self, name: &str) -> io::Result<()> {
        self.spare(name, ROOM).map(|_| ())
    }

    /// Opens or creates the spare file of the text file `name`, and extends it to at least `length`
    /// bytes.
    fn spare(&self, name: &str, length: usize) -> io::Result<File> {
        let spare = spare(name);
        let file = match self.open_own(&spare, OFlags::RDWR) {
            Ok(file) => file,
            Err(_) => self.create(&spare)?,
        };
        rustix::fs::fchmod(&file, Mode::from_raw_mode(FILE_MODE))?;
        let found = file.metadata()?.len();
        let missing = (length as u64).saturating_sub(found);
        // Writes spaces rather than setting the length, so that the disk allocates the
        // space.
        let grown = file.write_all_at(&vec![b' '; missing as usize], found);
        let grown = grown.and_then(|()| if missing > 0 { file.sync_all() } else { Ok(()) });
        grown.inspect_err(|_| {
            let _ = file.set_len(found);
        })?;
        Ok(file)
    }

    /// Creates a file. If there is a file with this name, removes it first.
    fn create(&self, name: &str) -> io::Result<File> {
        self.unlink(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | CAREFUL;
        Ok(rustix::fs::openat(&self.folder, name, flags, Mode::from_raw_mode(FILE_MODE))?.into())
    }

    /// Removes the file with this name if it exists, even if another user owns it.
    fn unlink(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames a file, and replaces any file that has the new name.
    ///
    /// # Errors
    ///
    /// When the system cannot rename the file.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
    }

    /// Removes a file. Does nothing if the file is not regular, or if other users own it or can
    /// change it.
    ///
    /// # Errors
    ///
    /// When the system cannot remove the file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.size(name).map_or(Ok(()), |_| self.unlink(name))
    }

    /// Returns the size of a file in bytes, if the file is regular and only this user can
    /// change it.
    pub fn size(&self, name: &str) -> Option<usize> {
        let found = self.look(name.as_ref()).ok()?;
        self.check_file(&found).ok()?;
        Some(usize::try_from(found.len()).unwrap_or(usize::MAX))
    }

    /// Removes temporary files of interrupted writes, if `is_wanted` accepts the name that the
    /// finished file would have had.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or a file cannot be removed.
    pub fn remove_litter(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        for name in self.names(|name| of_aside(name).is_some_and(&is_wanted))? {
            // Skips a file that a process still writes: that process holds its lock.
            if self.open_own(&name, OFlags::RDONLY).is_ok_and(|file| file.try_lock().is_ok()) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Returns the file names in the folder that `is_wanted` accepts.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or has more than `ENTRIES_MAX` entries.
    pub fn names(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for (index, entry) in Dir::read_from(&self.folder)?.enumerate() {
            if index >= ENTRIES_MAX {
                let what = format!(
                    "it holds more than {ENTRIES_MAX} files; expected a folder that is used for nothing else"
                );
                return Err(io::Error::other(what));
            }
            if let Ok(name) = entry?.file_name().to_str()
                && is_wanted(name)
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn open_own(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let file = rustix::fs::openat(&self.folder, name, flags | CAREFUL, Mode::empty());
        let file = File::from(file.map_err(|error| self.instead_of_a_file(name, error))?);
        self.check_file(&file.metadata()?)?;
        Ok(file)
    }

    fn instead_of_a_file(&self, name: &str, error: Errno) -> io::Error {
        let found = self.look(name.as_ref()).and_then(|found| self.check_file(&found));
        found.err().unwrap_or_else(|| error.into())
    }

    fn look(&self, name: &OsStr) -> io::Result<Metadata> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        File::from(rustix::fs::openat(&self.folder, name, flags, Mode::empty())?).metadata()
    }

    fn check_file(&self, found: &Metadata) -> io::Result<()> {
        own_file::check(found)?;
        let mode = found.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 && !self.is_closed {
            return Err(io::Error::other(format!(
                "others can write to it (its mode is {mode:04o}; expected 0600)"
            )));
        }
        Ok(())
    }
}

fn open_folder(path: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?.into())
}

fn instead_of_a_folder(path: &Path, error: Errno) -> anyhow::Error {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            anyhow!("it is a symbolic link; expected a folder; give the folder that it points to")
        }
        Ok(found) if !found.is_dir() => {
            anyhow!("it is {}; expected a folder", own_file::kind(found.file_type()))
        }
        _ => io::Error::from(error).into(),
    }
}

fn check_folder(found: &Metadata) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != own {
        let what = format!(
            "it belongs to the user id {owner}; expected {own}, who runs this server (chown it, or choose another)"
        );
        return Err(io::Error::other(what));
    }
    if mode & OTHERS_WRITE != 0 {
        let what =
            format!("others can write to it (its mode is {mode:04o}; chmod it to 0700, or choose another)");
        return Err(io::Error::other(what));
    }
    Ok(())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Returns the temporary name under which the file `name` is written.
fn aside(name: &str) -> String {
    format!(".{name}.tmp")
}

/// Returns the name of the finished file for a temporary name; [`None`] if the name is not
/// temporary.
fn of_aside(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".tmp")
}

/// Returns the name of the spare file of a text file.
fn spare(name: &str) -> String {
    format!(".{name}.spare")
}

#[cfg(test)]
mod tests {
    use super::{PrivateFolder, ROOM, aside};
    use rustix::fs::{CWD, FileType, Mode};
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Temporary folder of one test, removed on drop.
    struct TempFolder(PathBuf);

    impl TempFolder {
        fn new() -> TempFolder {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("private-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
            let place = TempFolder(std::env::temp_dir().join(name));
            fs::create_dir(&place.0).unwrap();
            place
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn folder(&self) -> PrivateFolder {
            PrivateFolder::open(&self.at("folder")).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.at("folder")).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for TempFolder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn pipe(path: &Path) {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    fn refused(path: &Path, complaint: &str) {
        let error = PrivateFolder::open(path).err().expect("it is refused").to_string();
        assert!(error.contains(complaint), "{error}");
    }

    #[test]
    fn a_planted_link_or_pipe_in_the_place_of_the_folder_is_refused() {
        let place = TempFolder::new();
        fs::create_dir(place.at("elsewhere")).unwrap();
        symlink(place.at("elsewhere"), place.at("link")).unwrap();
        for name in ["link", "link/", "link/."] {
            refused(&place.at(name), "it is a symbolic link; expected a folder");
        }
        pipe(&place.at("pipe"));
        refused(&place.at("pipe"), "it is a pipe; expected a folder");
        assert!(fs::read_dir(place.at("elsewhere")).unwrap().next().is_none());
    }

    #[test]
    fn only_regular_files_of_ones_own_with_one_name_are_read() {
        let place = TempFolder::new();
        let folder = place.folder();
        let at = |name: &str| place.at("folder").join(name);
        fs::write(place.at("secret"), "secret").unwrap();
        symlink(place.at("secret"), at("link")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        fs::hard_link(place.at("secret"), at("hard")).unwrap();
        pipe(&at("pipe"));
        fs::create_dir(at("below")).unwrap();
        for (name, complaint) in [
            ("link", "it is a symbolic link; expected a regular file"),
            ("zero", "it is a symbolic link"),
            ("hard", "it has 2 names (hard links); expected one"),
            ("pipe", "it is a pipe"),
            ("below", "it is a folder"),
        ] {
            let error = folder.read(name, 100).unwrap_err().to_string();
            assert!(error.contains(complaint), "{name}: {error}");
            assert_eq!(folder.size(name), None);
            folder.remove(name).unwrap();
            assert!(fs::symlink_metadata(at(name)).is_ok(), "{name} is not ours to remove");
        }
        if is_root() {
            fs::write(at("theirs"), "").unwrap();
            chown(at("theirs"), Some(12345), None).unwrap();
            let error = folder.read("theirs", 100).unwrap_err().to_string();
            assert_eq!(error, "it belongs to the user id 12345; expected 0");
        }
        folder.write("own", b"four").unwrap();
        assert_eq!((folder.read("own", 4).unwrap(), folder.size("own")), (b"four".to_vec(), Some(4)));
        assert_eq!(folder.read("own", 3).unwrap_err().to_string(), "it is longer than 3 bytes");
        assert_eq!(folder.read("none", 3).unwrap_err().kind(), ErrorKind::NotFound);
        // In a folder of mode 0700, others cannot reach a file of any mode.
        fs::set_permissions(at("own"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(folder.read("own", 4).is_ok());
        fs::set_permissions(place.at("folder"), fs::Permissions::from_mode(0o755)).unwrap();
        let error = place.folder().read("own", 4).unwrap_err().to_string();
        assert_eq!(error, "others can write to it (its mode is 0666; expected 0600)");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let place = TempFolder::new();
        let folder = place.folder();
        fs::create_dir(place.at("folder").join("taken")).unwrap();
        assert!(folder.write("taken", b"x").is_err() && folder.write_durably("taken", b"x").is_err());
        assert_eq!(place.names(), ["taken"]);
        // A killed process leaves temporary files, which are removed. A locked file stays,
        // because another process still writes it.
        let held = File::create(place.at("folder").join(aside("held"))).unwrap();
        held.try_lock().unwrap();
        fs::write(place.at("folder").join(aside("killed")), "").unwrap();
        fs::write(place.at("folder").join(aside("mine")), "").unwrap();
        pipe(&place.at("folder").join(aside("pipe")));
        folder.remove_litter(|name| name != "mine").unwrap();
        assert_eq!(place.names(), [".held.tmp", ".mine.tmp", ".pipe.tmp", "taken"]);
    }

    #[test]
    fn a_text_is_replaced_in_the_room_that_it_has() {
        let place = TempFolder::new();
        let folder = place.folder();
        folder.set_room_aside("text").unwrap();
        for length in [1, ROOM, ROOM + 1, 3 * ROOM, 5] {
            folder.replace("text", &vec![b'x'; length]).unwrap();
            let found = folder.read("text", 4 * ROOM).unwrap();
            assert_eq!((found.len(), found.trim_ascii_end().len()), (length.next_multiple_of(ROOM), length));
            assert_eq!(place.names(), [".text.spare", "text"]);
            assert!(folder.size(".text.spare").unwrap() >= found.len(), "the next one has its room");
        }
    }

    #[test]
    fn nothing_is_written_when_the_folder_or_its_lock_was_moved() {
        let place = TempFolder::new();
        let mut folder = place.folder();
        folder.lock("lock".as_ref()).unwrap();
        let second = place.folder().lock("lock".as_ref()).unwrap_err().to_string();
        assert_eq!(second, "this server still uses it; try again later");
        folder.write("file", b"x").unwrap();

        fs::remove_file(place.at("folder").join("lock")).unwrap();
        let complaint =
            |what| format!("{what} was moved or replaced since the server started; restart the server");
        assert_eq!(folder.replace("file", b"y").unwrap_err().to_string(), complaint("its lock"));
        place.folder().lock("lock".as_ref()).unwrap();
        assert_eq!(folder.write("file", b"y").unwrap_err().to_string(), complaint("its lock"));

        fs::rename(place.at("folder"), place.at("moved")).unwrap();
        assert_eq!(folder.write("file", b"y").unwrap_err().to_string(), complaint("the folder"));
        fs::create_dir(place.at("folder")).unwrap();
        assert_eq!(folder.write("file", b"y").unwrap_err().to_string(), complaint("the folder"));
        assert!(place.names().is_empty());
        assert_eq!(fs::read_to_string(place.at("moved").join("file")).unwrap(), "x");

        let place = TempFolder::new();
        let folder = place.folder();
        fs::set_permissions(place.at("folder"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(folder.write("file", b"y").unwrap_err().to_string().contains("others can write to it"));
    }
}
