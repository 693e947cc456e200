//! The first message of a TLS connection, read as far as the name of the server in it.
//!
//! Invariants: no byte decides a length that is not checked; no more than [`MAX_BYTES`] are ever wanted; a message that hides the
//! name from whoever carries it is an error, as the hidden name may be another.

/// Most bytes that are read in search of the name.
pub const MAX_BYTES: usize = 20 << 10;

/// Why the name cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not begin as TLS does.
    #[error("it is not a TLS handshake")]
    NotTls,
    /// A length in it goes beyond what carries it.
    #[error("the ClientHello is malformed")]
    Malformed,
    /// It is longer than any real one.
    #[error("the ClientHello is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The real name is encrypted.
    #[error("encrypted ClientHello hides the name of the server; switch it off")]
    Hidden,
    /// It ended, or nothing came for too long.
    #[error("no whole ClientHello came")]
    Missing,
}

/// The name in the ClientHello that these bytes begin with: outer `None` where more bytes are needed, inner `None` where
/// it has no name.
///
/// # Errors
/// [`Error`], where no further byte can change that.
pub fn server_name(bytes: &[u8]) -> Result<Option<Option<String>>, Error> {
    let mut message = Vec::new();
    let mut rest = Reader(bytes);
    loop {
        // What has come so far must look like the head of a record of a handshake, so that nobody waits for more of something else.
        let head = &rest.0[..rest.0.len().min(3)];
        if head.first().is_some_and(|kind| *kind != 22) || head.get(1).is_some_and(|major| *major != 3) {
            return Err(Error::NotTls);
        }
        let Some(length) = (rest.0.len() >= 5).then(|| usize::from(u16::from_be_bytes([rest.0[3], rest.0[4]]))) else {
            return more(bytes);
        };
        if length == 0 || length > 1 << 14 {
            return Err(Error::Malformed);
        }
        rest.0 = &rest.0[5..];
        let piece = &rest.0[..rest.0.len().min(length)];
        message.extend_from_slice(piece);
        rest.0 = &rest.0[piece.len()..];
        if message.first().is_some_and(|kind| *kind != 1) {
            return Err(Error::NotTls);
        }
        if let Some(&[_, a, b, c]) = message.first_chunk::<4>() {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if length > MAX_BYTES - 4 {
                return Err(Error::TooLong);
            }
            if let Some(body) = message.get(4..4 + length) {
                return name_in_hello(body).map(Some);
            }
        }
        if piece.len() < length {
            return more(bytes);
        }
    }
}

fn more<T>(bytes: &[u8]) -> Result<Option<T>, Error> {
    if bytes.len() < MAX_BYTES {
        Ok(None)
    } else {
        Err(Error::TooLong)
    }
}

fn name_in_hello(body: &[u8]) -> Result<Option<String>, Error> {
    let mut body = Reader(body);
    body.take(2 + 32)?;
    body.vector8()?;
    body.vector16()?;
    body.vector8()?;
    if body.0.is_empty() {
        return Ok(None);
    }
    let mut extensions = Reader(body.vector16()?);
    let mut name = None;
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        match kind {
            // A second name would leave open which of them counts.
            0 if name.is_some() => return Err(Error::Malformed),
            0 => name = Some(host_name(data)?),
            0xfe0d => return Err(Error::Hidden),
            _ => {}
        }
    }
    Ok(name)
}

/// The one name of type `host_name`; others have never been defined.
fn host_name(data: &[u8]) -> Result<String, Error> {
    let mut data = Reader(data);
    let mut list = Reader(data.vector16()?);
    if list.take(1)? != [0] {
        return Err(Error::Malformed);
    }
    let name = list.vector16()?;
    let text = str::from_utf8(name)
        .ok()
        .filter(|text| !text.is_empty() && text.is_ascii());
    match text {
        Some(text) if list.0.is_empty() && data.0.is_empty() => Ok(text.to_owned()),
        _ => Err(Error::Malformed),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Result<&'a [u8], Error> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn vector16(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What a real library sends.
    fn hello(name: &str) -> Vec<u8> {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of at most this many bytes.
    fn fragmented(hello: &[u8], size: usize) -> Vec<u8> {
        let records = hello[5..].chunks(size).map(|piece| {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            [&[22, 3, 1], &length[..], piece].concat()
        });
        records.collect::<Vec<_>>().concat()
    }

    /// A message with these extensions, by type and data.
    fn with_extensions(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let vector = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let extensions = extensions
            .iter()
            .flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), vector(data)].concat());
        let mut body = vec![3; 34];
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(vector(&extensions.collect::<Vec<_>>()));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        [&[22, 3, 1], &vector(&message)[..]].concat()
    }

    fn name_extension(name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len()).unwrap();
        [
            &(length + 3).to_be_bytes()[..],
            &[0],
            &length.to_be_bytes(),
            name.as_bytes(),
        ]
        .concat()
    }

    #[test]
    fn the_name_is_found_as_soon_as_all_of_it_is_there() {
        let hello = hello("api.example.com");
        for bytes in [hello.clone(), fragmented(&hello, 50), fragmented(&hello, 1)] {
            assert_eq!(server_name(&bytes), Ok(Some(Some("api.example.com".into()))));
            for length in 0..bytes.len() {
                assert_eq!(server_name(&bytes[..length]), Ok(None), "{length}");
            }
        }
    }

    #[test]
    fn no_name_is_told_apart_from_two_and_from_a_hidden_one() {
        assert_eq!(server_name(&hello("192.0.2.1")), Ok(Some(None)));
        let name = name_extension("a.example");
        assert_eq!(
            server_name(&with_extensions(&[(0, &name)])),
            Ok(Some(Some("a.example".into())))
        );
        assert_eq!(
            server_name(&with_extensions(&[(0, &name), (0, &name)])),
            Err(Error::Malformed)
        );
        assert_eq!(
            server_name(&with_extensions(&[(0, &name), (0xfe0d, b"x")])),
            Err(Error::Hidden)
        );
        assert_eq!(
            server_name(&with_extensions(&[(0, &name_extension(""))])),
            Err(Error::Malformed)
        );
        let two = [&name[..2], &name[2..], &name[2..]].concat();
        assert_eq!(server_name(&with_extensions(&[(0, &two)])), Err(Error::Malformed));
    }

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        for bytes in ["CONNECT a:1", "SSH-2.0", "GET /", "\u{17}", "\u{16}\u{2}"] {
            assert_eq!(server_name(bytes.as_bytes()), Err(Error::NotTls), "{bytes:?}");
        }
        // An empty record would let a sender go on for ever without saying anything.
        assert_eq!(server_name(&[22, 3, 1, 0, 0]), Err(Error::Malformed));
        assert_eq!(server_name(&[22, 3, 1, 0x40, 0, 1, 0xff, 0, 0]), Err(Error::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = server_name(&bytes);
            let _ = server_name(&[&[22, 3, 1, 0, 200, 1, 0, 0, 196], &bytes[..]].concat());
        }

        #[test]
        fn changed_bytes_are_read_without_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            size in 1_usize..600,
        ) {
            let mut bytes = fragmented(&with_extensions(&[(10, b"xyz"), (0, &name_extension("a.example"))]), size);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(Some(Some(name))) = server_name(&bytes) {
                prop_assert!(name.is_ascii() && !name.is_empty());
            }
        }
    }
}
