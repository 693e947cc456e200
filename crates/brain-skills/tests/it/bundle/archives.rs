//! Hostile archives: each is refused at its stage, leaves an audit line, and nothing else anywhere.

use std::{fs, io::Read, path::Path};

use brain_skills::{
    Stage,
    bundle::{self, Bounds},
};
use proptest::prelude::*;

use super::fixture::*;

fn refused_with(entries: &[Entry], says: &str) {
    Home::new().refuses(&gzip(&tar(&with(entries))), Stage::Archive, says);
}

#[test]
fn an_honest_archive_is_installed_and_packed_again_to_the_same_bytes() {
    let skill = directory("hello@1.0.0");
    fs::create_dir(skill.path().join("lib")).unwrap();
    fs::write(skill.path().join("lib/größe.txt"), vec![7; 1000]).unwrap();
    let (archive, digest) = packed(skill.path());
    let home = Home::new();
    let record = home.install("hello@1.0.0", &archive).unwrap();
    assert_eq!(record.digest, digest);
    let object = home.root().join("objects").join(digest.hex());
    assert_eq!(contents(&object), contents(skill.path()));
    assert_eq!(packed(&object), (archive, digest));
}

/// What ordinary programs write is read, and what we write is read by them.
#[test]
fn tar_reads_what_is_packed_and_packs_what_is_read() {
    use std::process::Command;
    let skill = directory("hello@1.0.0");
    let (archive, digest) = packed(skill.path());
    let (packed_here, unpacked) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = packed_here.path().join("ours.tar.gz");
    fs::write(&ours, archive).unwrap();
    let done = Command::new("tar")
        .arg("-xzf")
        .arg(&ours)
        .arg("-C")
        .arg(unpacked.path())
        .status()
        .unwrap();
    assert!(done.success());
    assert_eq!(contents(unpacked.path()), contents(skill.path()));
    let theirs = packed_here.path().join("theirs.tar.gz");
    let done = Command::new("tar")
        .args(["--format=ustar", "-czf"])
        .arg(&theirs)
        .arg("-C")
        .arg(skill.path())
        .args(["manifest.json", "run"])
        .status()
        .unwrap();
    assert!(done.success());
    let taken = bundle::read_archive(&fs::read(&theirs).unwrap()[..], Bounds::default()).unwrap();
    assert_eq!(taken.tree.digest(), digest);
}

#[test]
fn paths_that_leave_the_directory() {
    for path in [
        "../evil",
        "a/../../evil",
        "/tmp/evil",
        "..",
        "a/..",
        "./evil",
        "a//evil",
        "a\\..\\evil",
        "a\nb",
        ".git/hooks/pre-commit",
    ] {
        refused_with(&[file(path, "x")], "is not a path");
    }
    // A NUL ends a name for one reader and not for another.
    let mut hidden = file("a", "x");
    hidden.name = b"a\0/../../evil".to_vec();
    refused_with(&[hidden], "bytes after its end");
    let mut prefixed = file("evil", "x").block();
    prefixed[345..353].copy_from_slice(b"../../..");
    let mut bytes = summed(prefixed).to_vec();
    bytes.extend_from_slice(&tar(&with(&[])));
    Home::new().refuses(&gzip(&bytes), Stage::Archive, "");
}

#[test]
fn links_devices_and_pipes() {
    refused_with(
        &[of_kind(b'2', "link", "/etc"), file("link/passwd", "x")],
        "symbolic link",
    );
    refused_with(&[of_kind(b'1', "hard", "/etc/passwd")], "hard link");
    refused_with(&[of_kind(b'3', "null", "")], "device");
    refused_with(&[of_kind(b'4', "disk", "")], "device");
    refused_with(&[of_kind(b'6', "pipe", "")], "pipe");
    refused_with(&[of_kind(b'0', "plain", "/etc/passwd")], "link");
    refused_with(&[of_kind(b'7', "odd", "")], "kind");
}

#[test]
fn bits_that_give_privileges() {
    for mode in [0o4755, 0o2755, 0o1755, 0o7777] {
        refused_with(&[file("tool", "x").mode(mode)], "setuid");
    }
}

#[test]
fn headers_that_contradict_each_other() {
    refused_with(&[file("././@PaxHeader", "19 size=1000000000\n"), file("a", "x")], "");
    let pax = |kind| Entry {
        kind,
        ..file("pax", "19 size=1000000000\n")
    };
    refused_with(&[pax(b'x'), file("a", "x")], "pax");
    refused_with(&[pax(b'g'), file("a", "x")], "pax");
    refused_with(
        &[
            Entry {
                kind: b'L',
                ..file("long", "../../evil\0")
            },
            file("a", "x"),
        ],
        "GNU",
    );
    refused_with(
        &[
            Entry {
                kind: b'K',
                ..file("long", "/etc/passwd\0")
            },
            file("a", "x"),
        ],
        "GNU",
    );
    refused_with(
        &[Entry {
            kind: b'S',
            ..file("sparse", "x")
        }],
        "GNU",
    );
    // A size that swallows the next header, or leaves bytes that are none.
    let long = Entry {
        size: Some(513),
        ..file("a", "x")
    };
    refused_with(&[long, file("b", "y")], "");
    let short = Entry {
        size: Some(0),
        ..file("a", "hidden")
    };
    refused_with(&[short], "");
    let endless = Entry {
        size: Some(0o77_777_777_777),
        ..file("a", "x")
    };
    refused_with(&[endless], "more than");
    // Base 256, in which GNU tar writes sizes that do not fit, and a negative one.
    for first in [0x80, 0xff] {
        let mut block = file("a", "").block();
        block[124..136].copy_from_slice(&[first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        let bytes = [&summed(block)[..], &tar(&with(&[]))].concat();
        Home::new().refuses(&gzip(&bytes), Stage::Archive, "octal");
    }
    let mut padded = tar(&with(&[file("a", "x")]));
    let at = padded.len() - 1024 - 1;
    padded[at] = 1;
    Home::new().refuses(&gzip(&padded), Stage::Archive, "hidden");
}

#[test]
fn names_that_are_there_twice_or_too_much_alike() {
    refused_with(&[file("run", "other")], "twice");
    refused_with(&[file("manifest.json", "{}")], "twice");
    refused_with(&[file("Run", "other")], "one name");
    refused_with(&[file("a", "x"), file("a/b", "y")], "twice");
    refused_with(&[file("a/b", "x"), file("a", "y")], "twice");
    refused_with(&[file("a/b", "x"), file("A/c", "y")], "one name");
    refused_with(&[of_kind(b'5', "run", "")], "twice");
    refused_with(&[file("straße", "x"), file("STRASSE", "y")], "one name");
    refused_with(&[file("\u{e9}", "x"), file("e\u{301}", "y")], "normalisation");
    refused_with(&[file("r\u{443}n", "x")], "scripts");
    refused_with(&[file("cop", "x"), file("\u{441}\u{43e}\u{440}", "y")], "looks like");
    refused_with(&[file("doc\u{202e}txt.exe", "x")], "direction");
    let mut raw = file("a", "x");
    raw.name = b"a\xff".to_vec();
    refused_with(&[raw], "UTF-8");
}

#[test]
fn too_many_entries_and_too_many_bytes() {
    let bounds = Bounds {
        entries: 10,
        bytes: 10_000,
        packed: 4000,
    };
    let home = Home::bounded(bounds);
    let many: Vec<Entry> = (0..9).map(|number| file(&format!("f{number}"), "")).collect();
    home.refuses(&gzip(&tar(&with(&many))), Stage::Archive, "more than 10 files");
    let directories: Vec<Entry> = (0..9).map(|number| of_kind(b'5', &format!("d{number}"), "")).collect();
    home.refuses(&gzip(&tar(&with(&directories))), Stage::Archive, "more than 10 files");
    home.refuses(
        &gzip(&tar(&with(&[file("zeros", vec![0; 10_001])]))),
        Stage::Archive,
        "more than 10000 bytes",
    );
    let noise: Vec<u8> = (0..280_u16)
        .flat_map(|number| *brain_skills::digest::Digest::of(&number.to_le_bytes()).as_bytes())
        .collect();
    home.refuses(
        &gzip(&tar(&with(&[file("noise", noise)]))),
        Stage::Archive,
        "larger than an archive",
    );
}

/// A million entries, and a gigabyte of zeros, that are made up while they are read: neither is read to its end.
#[test]
fn bombs_are_refused_long_before_their_end() {
    let header = file("zeros", "").block();
    let mut zeros = Entry {
        size: Some(1 << 30),
        ..file("zeros", "")
    }
    .block()
    .to_vec();
    let mut packer = flate2::read::GzEncoder::new(
        std::io::Cursor::new(std::mem::take(&mut zeros)).chain(std::io::repeat(0).take(1 << 30)),
        flate2::Compression::fast(),
    );
    let mut counted = Counted {
        from: &mut packer,
        read: 0,
    };
    let error = bundle::read_archive(&mut counted, Bounds::default()).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
    assert!(counted.read < 1 << 20);

    struct Numbered {
        next: u32,
        left: Vec<u8>,
        header: [u8; 512],
    }
    impl Read for Numbered {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            if self.left.is_empty() {
                let name = format!("f{:07}", self.next);
                self.header[..8].copy_from_slice(name.as_bytes());
                self.left = summed(self.header).to_vec();
                self.next += 1;
            }
            let count = self.left.len().min(to.len());
            to[..count].copy_from_slice(&self.left[..count]);
            self.left.drain(..count);
            Ok(count)
        }
    }
    let numbered = Numbered {
        next: 0,
        left: Vec::new(),
        header,
    };
    let mut packer = flate2::read::GzEncoder::new(numbered.take(512_000_000), flate2::Compression::fast());
    let error = bundle::read_archive(&mut packer, Bounds::default()).unwrap_err();
    assert!(error.to_string().contains("more than 20000 files"), "{error}");
    assert!(packer.get_ref().get_ref().next < 30_000);
}

struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(to)?;
        self.read += count as u64;
        Ok(count)
    }
}

#[test]
fn what_is_damaged_cut_off_or_followed_by_something() {
    let whole = tar(&with(&[]));
    let home = Home::new();
    let packed = gzip(&whole);
    home.refuses(b"", Stage::Archive, "ends in the middle");
    home.refuses(b"PK\x03\x04", Stage::Archive, "");
    home.refuses(&whole, Stage::Archive, "");
    home.refuses(&packed[..packed.len() - 1], Stage::Archive, "");
    home.refuses(&gzip(&whole[..whole.len() - 512]), Stage::Archive, "ends in the middle");
    home.refuses(&gzip(&whole[..700]), Stage::Archive, "ends");
    home.refuses(&[&packed[..], b"x"].concat(), Stage::Archive, "follows");
    home.refuses(&[&packed[..], &packed[..]].concat(), Stage::Archive, "follows");
    home.refuses(&gzip(&[&whole[..], &whole[..]].concat()), Stage::Archive, "follows");
    home.refuses(&gzip(&[&whole[..], &[0; 512 * 21]].concat()), Stage::Archive, "follows");
    home.refuses(&gzip(&[&[0; 512][..], &whole].concat()), Stage::Archive, "single block");
    let mut wrong = packed.clone();
    let crc = wrong.len() - 6;
    wrong[crc] ^= 1;
    home.refuses(&wrong, Stage::Archive, "");
    assert!(
        home.install("hello@1.0.0", &gzip(&[&whole[..], &[0; 512 * 18]].concat()))
            .is_ok()
    );
}

#[test]
fn a_manifest_that_is_not_what_it_must_be() {
    let home = Home::new();
    let only = |manifest: &str| gzip(&tar(&[file("manifest.json", manifest), file("run", "x").mode(0o755)]));
    home.refuses(
        &gzip(&tar(&[file("run", "x").mode(0o755)])),
        Stage::Manifest,
        "no manifest.json",
    );
    home.refuses(&only(r#"{"name":"hello","name":"hello"}"#), Stage::Manifest, "twice");
    home.refuses(&only(&" ".repeat(70_000)), Stage::Manifest, "70000 bytes");
    home.refuses(
        &only(&manifest("hello@1.0.1").to_string()),
        Stage::Manifest,
        "hello@1.0.1",
    );
    home.refuses(
        &only(&manifest("other@1.0.0").to_string()),
        Stage::Manifest,
        "other@1.0.0",
    );
    let mut odd = manifest("hello@1.0.0");
    odd["entrypoint"] = "absent".into();
    home.refuses(&only(&odd.to_string()), Stage::Manifest, "absent");
    let plain = tar(&[
        file("manifest.json", manifest("hello@1.0.0").to_string()),
        file("run", "x"),
    ]);
    home.refuses(&gzip(&plain), Stage::Manifest, "cannot be executed");
    let mut entries = with(&[file("SKILL.md", "---\nname: other\ndescription: x\n---\n")]);
    home.refuses(&gzip(&tar(&entries)), Stage::SkillMd, "SKILL.md: name");
    entries.pop();
}

#[test]
fn a_list_of_files_is_exact() {
    use brain_skills::digest::Digest;
    let home = Home::new();
    let listing = |files: serde_json::Value, more: &[Entry]| {
        let mut manifest = manifest("hello@1.0.0");
        manifest["files"] = files;
        let mut entries = vec![
            file("manifest.json", manifest.to_string()),
            file("run", "x").mode(0o755),
        ];
        entries.extend_from_slice(more);
        gzip(&tar(&entries))
    };
    let (x, y) = (Digest::of(b"x").to_string(), Digest::of(b"y").to_string());
    home.refuses(
        &listing(serde_json::json!({"run": x}), &[file("extra", "y")]),
        Stage::Manifest,
        "does not list extra",
    );
    home.refuses(
        &listing(serde_json::json!({"run": y}), &[]),
        Stage::Manifest,
        "run is not the file",
    );
    home.refuses(
        &listing(serde_json::json!({"run": x, "gone": y}), &[]),
        Stage::Manifest,
        "gone, which is not there",
    );
    home.refuses(
        &listing(serde_json::json!({}), &[]),
        Stage::Manifest,
        "does not list run",
    );
    home.install(
        "hello@1.0.0",
        &listing(serde_json::json!({"run": x, "a/b": y}), &[file("a/b", "y")]),
    )
    .unwrap();
}

#[test]
fn a_checksum_is_that_of_the_files() {
    let home = Home::new();
    let of = |checksum: &str, text: &str| {
        let mut manifest = manifest("hello@1.0.0");
        manifest["checksum"] = checksum.into();
        gzip(&tar(&[
            file("manifest.json", manifest.to_string()),
            file("run", text).mode(0o755),
        ]))
    };
    let wrong = of(&brain_skills::digest::Digest::of(b"").to_string(), "x");
    let refused = home.refuses(&wrong, Stage::Checksum, "checksum");
    let right = refused.reason.split("have ").nth(1).unwrap().to_owned();
    home.refuses(&of(&right, "y"), Stage::Checksum, "checksum");
    home.install("hello@1.0.0", &of(&right, "x")).unwrap();
}

fn outside_is_untouched(archive: &[u8]) -> Result<(), TestCaseError> {
    let home = Home::bounded(Bounds {
        entries: 50,
        bytes: 1 << 20,
        packed: 1 << 20,
    });
    match home.install("hello@1.0.0", archive) {
        Ok(record) => {
            let object = home.root().join("objects").join(record.digest.hex());
            prop_assert!(contents(&object).contains_key(Path::new("manifest.json")));
            home.store.verify(&reference("hello@1.0.0")).unwrap();
        }
        Err(error) => {
            prop_assert!(matches!(error, brain_skills::store::Error::Refused(_)), "{}", error);
            home.untouched();
        }
    }
    prop_assert_eq!(names(home.outside.path()), ["canary", "root"]);
    prop_assert!(names(&home.root().join("staging")).is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        outside_is_untouched(&bytes)?;
        outside_is_untouched(&gzip(&bytes))?;
    }

    #[test]
    fn mutated_archives(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4), sum in any::<bool>()) {
        let mut bytes = tar(&with(&[file("lib/a.txt", "abc"), of_kind(b'5', "empty/", "")]));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let block = at / 512 * 512;
            if sum && bytes[block + 257..block + 262] == *b"ustar" {
                let fixed = summed(bytes[block..block + 512].try_into().unwrap());
                bytes[block..block + 512].copy_from_slice(&fixed);
            }
        }
        outside_is_untouched(&gzip(&bytes))?;
    }

    #[test]
    fn entries_with_any_names_and_kinds(
        entries in proptest::collection::vec(("(\\.\\./|/|a/|b|\\.|\u{e9}|\u{430}|A){0,6}", proptest::sample::select(&b"012345679xgLK"[..]), 0_u32..0o10000), 0..5)
    ) {
        let made: Vec<Entry> = entries
            .iter()
            .map(|(name, kind, mode)| of_kind(*kind, name, if *kind == b'2' { "/tmp" } else { "" }).mode(*mode))
            .collect();
        outside_is_untouched(&gzip(&tar(&with(&made))))?;
    }
}
