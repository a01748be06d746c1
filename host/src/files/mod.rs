//! Files and folders that only the server's user can change, and stamps of files that change.

pub mod own_file;
pub mod private_folder;
pub mod stamp;
