//! Files and folders that only the server's user can change.

pub mod own_file;
pub mod private_folder;
