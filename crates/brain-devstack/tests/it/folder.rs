//! A folder for one test, which the servers can enter also when root runs the tests, and which is swept with all that
//! runs in it even when the test is killed.

use std::path::{Path, PathBuf};

use brain_devstack::process;

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let Some(base) = std::env::var_os("BRAIN_TEST_DIR") else {
            panic!("BRAIN_TEST_DIR is not set: run `cargo xtask test`")
        };
        for attempt in 0.. {
            let folder = Path::new(&base).join(format!("devstack-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Self(folder),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot create {}: {error}", folder.display()),
            }
        }
        unreachable!("the numbers do not run out")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = process::end_all_below(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
