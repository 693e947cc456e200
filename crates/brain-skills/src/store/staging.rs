//! What is not finished, and what is on its way out.
//!
//! Invariants: whoever fills a directory here holds a lock on it, so that what nobody holds was left behind by one who
//! is gone; files lie here only while somebody holds the store.

use std::{ffi::CString, io};

use super::{
    Error,
    root::{self, Held, Root, Shared},
};
use crate::bundle::directory::Directory;

/// A directory that is being filled. What is not [kept](Staging::keep) is removed.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    root: &'a Root,
    name: Option<CString>,
    directory: Directory,
}

impl<'a> Staging<'a> {
    pub(super) fn new(root: &'a Root) -> Result<Self, Error> {
        // A sweep holds the store, so it does not come between making the directory and holding it.
        let _shared: Shared = root.share()?;
        let made = || -> io::Result<_> {
            let name = root::random()?;
            let directory = root.staging.create(&name)?;
            root::own(&directory)?;
            Ok((CString::new(name)?, directory))
        };
        let (name, directory) = made().map_err(Error::io("cannot make a directory to unpack into"))?;
        Ok(Self {
            root,
            name: Some(name),
            directory,
        })
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Moves the directory to where it stays.
    pub(super) fn keep(mut self, _held: &Held, to: &Directory, as_name: &str) -> io::Result<()> {
        if let Some(name) = &self.name {
            self.root.staging.rename(&name.to_string_lossy(), to, as_name)?;
            self.name = None;
            // Only now: a directory is moved by who may write to it.
            self.directory.read_only()?;
            self.directory.sync()?;
            to.sync()?;
            self.root.staging.sync()?;
        }
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now is swept when the store is opened again.
            let _ = self.root.staging.remove(name);
        }
    }
}

/// Removes what others left.
pub(super) fn sweep(root: &Root, _held: &Held) -> Result<(), Error> {
    let cannot = Error::io("cannot sweep what was left in the store");
    for name in root.staging.names(usize::MAX).map_err(&cannot)? {
        match root.staging.child(&name.to_string_lossy()) {
            Ok(directory) if !root::own(&directory).map_err(&cannot)? => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Whose lock is free, or what is no directory at all.
            _ => root.staging.remove(&name).map_err(&cannot)?,
        }
    }
    Ok(())
}

/// Removes the files under a digest, unless something that runs holds them; whether they are gone.
pub(super) fn discard(root: &Root, held: &Held, hex: &str) -> Result<bool, Error> {
    let cannot = Error::io("cannot remove the files of a skill");
    let directory = root.objects.child(hex).map_err(&cannot)?;
    if !root::own(&directory).map_err(&cannot)? {
        return Ok(false);
    }
    drop(directory);
    set_aside(root, held, hex)?;
    root.listings
        .remove(&CString::new(hex).map_err(|error| cannot(error.into()))?)
        .map_err(&cannot)?;
    Ok(true)
}

/// Takes the files under a digest out of the way at once, and removes them, if need be when what runs has ended.
pub(super) fn set_aside(root: &Root, _held: &Held, hex: &str) -> Result<(), Error> {
    let moved = || -> io::Result<()> {
        let aside = root::random()?;
        let directory = root.objects.child(hex)?;
        directory.writable()?;
        root.objects.rename(hex, &root.staging, &aside)?;
        root.objects.sync()?;
        if root::own(&directory)? {
            root.staging.remove(&CString::new(aside)?)?;
        }
        Ok(())
    };
    moved().map_err(Error::io("cannot remove the files of a skill"))
}
