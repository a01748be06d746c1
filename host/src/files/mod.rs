//! Files and folders that only the user of the server can change, and stamps that detect changes of
//! a file.

pub mod own_file;
pub mod private_folder;
pub mod stamp;
