//! Headers of a ustar archive, of which only those of plain files and directories are read.
//!
//! Invariant: each field is written in one way, and fields without a meaning for us are empty: a header cannot say one thing to
//! this reader and another to that.

use super::super::path::{CanonicalPath, Malformed};

/// The unit of a tar archive, in bytes.
pub(super) const BLOCK: usize = 512;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) path: CanonicalPath,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File { executable: bool, size: u64 },
    Directory,
}

impl Header {
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Self, String> {
        let sum = number(&block[148..156], "checksum")?;
        let counted: u64 = (0..BLOCK)
            .map(|at| if (148..156).contains(&at) { b' ' } else { block[at] })
            .map(u64::from)
            .sum();
        if sum != counted {
            return Err("a header of the archive is damaged: its checksum is wrong".to_owned());
        }
        if &block[257..265] != b"ustar\x0000" {
            return Err("it is not a plain ustar archive; pack it anew, with GNU tar by --format=ustar".to_owned());
        }
        let path = path(text(&block[345..500], "prefix")?, text(&block[..100], "name")?)?;
        let kind = block[156];
        if let Some(kind) = refused_kind(kind) {
            return Err(format!(
                "{path} is {kind}; only plain files and directories can be part of a skill"
            ));
        }
        let mode = number(&block[100..108], "mode")?;
        if mode > 0o777 {
            return Err(format!("{path} has setuid, setgid or sticky bits; pack it without"));
        }
        // Who owns it and when it was changed has no meaning here, but must be what it says.
        for (range, field) in [(108..116, "uid"), (116..124, "gid"), (136..148, "mtime")] {
            number(&block[range], field)?;
        }
        for (range, field) in [(265..297, "uname"), (297..329, "gname")] {
            text(&block[range], field)?;
        }
        if block[157..257].iter().chain(&block[500..]).any(|byte| *byte != 0) {
            return Err(format!(
                "the header of {path} holds a link or other bytes that mean nothing"
            ));
        }
        for range in [329..337, 337..345] {
            if !block[range.clone()].iter().all(|byte| *byte == 0) && number(&block[range], "device")? != 0 {
                return Err(format!("the header of {path} names a device"));
            }
        }
        let size = number(&block[124..136], "size")?;
        let directory = kind == b'5';
        let path: CanonicalPath = match (directory, path.strip_suffix('/')) {
            (true, Some(path)) => path.parse(),
            _ => path.parse(),
        }
        .map_err(|error: Malformed| error.to_string())?;
        if directory && size != 0 {
            return Err(format!("the directory {path} has a size"));
        }
        let kind = if directory {
            Kind::Directory
        } else {
            Kind::File {
                executable: mode & 0o100 != 0,
                size,
            }
        };
        Ok(Self { path, kind })
    }
}

fn refused_kind(kind: u8) -> Option<String> {
    let named = match kind {
        b'0' | b'5' => return None,
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' | b'4' => "a device",
        b'6' => "a named pipe",
        b'g' | b'x' => "a pax header, which can contradict others",
        b'L' | b'K' | b'S' | b'N' => "an extension of GNU tar, which can contradict others",
        other => return Some(format!("an entry of kind {:?}", char::from(other))),
    };
    Some(named.to_owned())
}

/// The text of a field up to its first NUL, after which there is nothing but NUL.
fn text<'a>(field: &'a [u8], name: &str) -> Result<&'a str, String> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    if field[end..].iter().any(|byte| *byte != 0) {
        return Err(format!("the field {name} of a header has bytes after its end"));
    }
    std::str::from_utf8(&field[..end]).map_err(|_| format!("the field {name} of a header is not UTF-8"))
}

/// Octal digits, ended by spaces or NULs. The form of GNU tar for larger numbers (base 256) is refused.
fn number(field: &[u8], name: &str) -> Result<u64, String> {
    let odd = || format!("the field {name} of a header is no plain octal number");
    let end = field
        .iter()
        .position(|byte| !(b'0'..=b'7').contains(byte))
        .unwrap_or(field.len());
    if end == 0 || end == field.len() || field[end..].iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return Err(odd());
    }
    let digits = std::str::from_utf8(&field[..end]).map_err(|_| odd())?;
    u64::from_str_radix(digits, 8).map_err(|_| odd())
}

fn path(prefix: &str, name: &str) -> Result<String, String> {
    match (prefix, name) {
        (_, "") => Err("an entry of the archive has no name".to_owned()),
        ("", name) => Ok(name.to_owned()),
        (prefix, name) => Ok(format!("{prefix}/{name}")),
    }
}

/// The header of a file.
pub(super) fn write(path: &CanonicalPath, executable: bool, size: u64) -> [u8; BLOCK] {
    let (prefix, name) = path.split();
    let mode = if executable { 0o755 } else { 0o644 };
    let fields: [(usize, String); 9] = [
        (0, name.to_owned()),
        (100, format!("{mode:07o}")),
        (108, format!("{:07o}", 0)),
        (116, format!("{:07o}", 0)),
        (124, format!("{size:011o}")),
        (136, format!("{:011o}", 0)),
        (148, " ".repeat(8)),
        (156, "0".to_owned()),
        (257, "ustar\x0000".to_owned()),
    ];
    let mut block = [0; BLOCK];
    let prefix = (345, prefix.to_owned());
    for (at, value) in fields.iter().chain([&prefix]) {
        block[*at..at + value.len()].copy_from_slice(value.as_bytes());
    }
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = format!("{}/{}", "d".repeat(90), "n".repeat(90));
        for (path, executable, size) in [("run", true, 7), (long.as_str(), false, 0o77_777_777_777)] {
            let path: CanonicalPath = path.parse().unwrap();
            let read = Header::read(&write(&path, executable, size)).unwrap();
            let kind = Kind::File { executable, size };
            assert_eq!(read, Header { path, kind });
        }
    }

    #[test]
    fn each_field_is_what_it_says() {
        let change = |at: usize, bytes: &[u8]| {
            let mut block = write(&"run".parse().unwrap(), true, 7);
            block[at..at + bytes.len()].copy_from_slice(bytes);
            block[148..156].copy_from_slice(b"        ");
            let sum: u32 = block.iter().copied().map(u32::from).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            Header::read(&block)
        };
        assert!(change(0, b"run").is_ok());
        for (at, bytes) in [
            (0_usize, &b"run\0x"[..]),
            (0, b"\0"),
            (0, b"../x"),
            (0, b"r\xff"),
            (0, b"/run"),
            (345, b"/etc"),
            (345, b".."),
            (100, b"0004755"),
            (100, b"0002755"),
            (100, b"0001755"),
            (100, b"\x80\0\0\0\0\0\x01\xed"),
            (124, b"\x80\0\0\0\0\0\0\0\0\0\0\x07"),
            (124, b"-0000000001"),
            (124, b"0x7"),
            (124, b"000000000078"),
            (156, b"\0"),
            (156, b"1"),
            (156, b"2"),
            (156, b"3"),
            (156, b"4"),
            (156, b"5"),
            (156, b"6"),
            (156, b"7"),
            (156, b"x"),
            (156, b"g"),
            (156, b"L"),
            (156, b"K"),
            (156, b"S"),
            (156, b"V"),
            (157, b"target"),
            (257, b"ustar  \0"),
            (257, b"\0\0\0\0\0\0\0\0"),
            (265, b"a\0b"),
            (329, b"0000001"),
            (337, b"x"),
            (500, b"x"),
        ] {
            assert!(change(at, bytes).is_err(), "{at} {bytes:?}");
        }
        let mut damaged = write(&"run".parse().unwrap(), true, 7);
        damaged[1] ^= 1;
        assert!(Header::read(&damaged).unwrap_err().contains("checksum"));
    }
}
