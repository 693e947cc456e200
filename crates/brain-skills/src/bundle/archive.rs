//! Archives of skills: a strict subset of tar (POSIX.1-1988 ustar) in one gzip member.
//!
//! A reader of our own is the smaller surface: everything that tar has grown since (long names, sparse files, pax records,
//! links) exists to say in a second place what the header says, and is refused.
//!
//! Invariants: one tree has one archive, byte for byte; what is read has one meaning to each reader of tar: headers hold
//! nothing but what they mean, padding is zero, after the end nothing follows; memory does not grow with what is in it.

mod header;

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::{Compression, GzBuilder, bufread::GzDecoder};

use self::header::{BLOCK, Header, Kind};
use super::{
    Bounds, Error,
    directory::Directory,
    intake::{Intake, Taken, refused},
    tree::Tree,
};

/// Blocks of zeros after the end, with which archives are filled up to twenty blocks.
const MAX_FILLING: usize = 20;

/// Writes the archive of a directory whose tree this is.
///
/// # Errors
/// The directory is not what the tree says, or something cannot be read or written.
pub fn pack(from: &Directory, tree: &Tree, to: impl Write) -> Result<(), Error> {
    let unwritten = || Error::io("cannot write the archive");
    // Without name and time, and with "unknown" as operating system: the same bytes everywhere.
    let mut to = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(to, Compression::best());
    for (path, file) in tree.files() {
        let mut bytes = Vec::new();
        from.open_file(path)
            .and_then(|opened| opened.take(file.size + 1).read_to_end(&mut bytes))
            .map_err(Error::io("cannot read a file of the skill"))?;
        if bytes.len() as u64 != file.size || crate::digest::Digest::of(&bytes) != file.digest {
            return Err(refused(format!("{path} was changed while it was packed; try again")));
        }
        let header = header::write(path, file.executable, file.size);
        let filling = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        to.write_all(&header)
            .and_then(|()| to.write_all(&bytes))
            .and_then(|()| to.write_all(&[0; BLOCK][..filling]))
            .map_err(unwritten())?;
    }
    to.write_all(&[0; 2 * BLOCK])
        .and_then(|()| to.finish())
        .and_then(|mut to| to.flush())
        .map_err(unwritten())
}

/// Takes the files of an archive in.
pub(crate) fn unpack(from: impl Read, destination: Option<&Directory>, bounds: Bounds) -> Result<Taken, Error> {
    let packed = Bounded {
        from,
        left: bounds.packed,
    };
    let mut archive = Archive {
        from: GzDecoder::new(BufReader::new(packed)),
    };
    let mut intake = Intake::new(destination, bounds);
    while let Some(header) = archive.header()? {
        intake.entry()?;
        match header.kind {
            Kind::Directory => intake.directory(&header.path)?,
            Kind::File { executable, size } => {
                let path = header.path;
                intake.file(path.clone(), executable, size, &mut archive.from)?;
                archive.filling(&path, size)?;
            }
        }
    }
    archive.end()?;
    Ok(intake.finish())
}

struct Archive<R> {
    from: GzDecoder<R>,
}

impl<R: BufRead> Archive<R> {
    /// The next header, or nothing at the two blocks of zeros that end an archive.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let block = self.block()?;
        if block != [0; BLOCK] {
            return Header::read(&block).map(Some).map_err(refused);
        }
        if self.block()? != [0; BLOCK] {
            return Err(refused("a single block of zeros is in the middle of the archive"));
        }
        Ok(None)
    }

    fn block(&mut self) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block).map_err(unreadable)?;
        Ok(block)
    }

    fn filling(&mut self, path: &super::path::CanonicalPath, size: u64) -> Result<(), Error> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        let mut block = [0; BLOCK];
        let filling = &mut block[..(BLOCK - over) % BLOCK];
        self.from.read_exact(filling).map_err(unreadable)?;
        if filling.iter().any(|byte| *byte != 0) {
            return Err(refused(format!("bytes are hidden after the end of {path}")));
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), Error> {
        let mut rest = Vec::new();
        let most = MAX_FILLING * BLOCK;
        (&mut self.from)
            .take(most as u64 + 1)
            .read_to_end(&mut rest)
            .map_err(unreadable)?;
        let zeros = rest.iter().all(|byte| *byte == 0);
        if rest.len() > most || !rest.len().is_multiple_of(BLOCK) || !zeros {
            return Err(refused("something follows the end of the archive"));
        }
        // The end of the only member is read, so its checksum was compared.
        let mut packed = self.from.into_inner();
        match packed.fill_buf().map_err(unreadable)? {
            [] => Ok(()),
            _ => Err(refused("something follows the compressed archive")),
        }
    }
}

fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => refused("it ends in the middle; fetch it again"),
        _ => refused(format!("it is no archive of a skill, or damaged: {error}")),
    }
}

/// A reader that fails, instead of ending, where more comes than is allowed.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it is larger than an archive of a skill may be"))?;
        Ok(count)
    }
}
