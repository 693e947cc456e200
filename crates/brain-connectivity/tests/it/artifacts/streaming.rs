//! Artifacts larger than what may be in memory.

use brain_connectivity::artifacts::{Error, PART_BYTES};
use futures_util::TryStreamExt;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;

use super::{Pattern, key, store};

const PART: u64 = PART_BYTES as u64;

#[tokio::test]
async fn sizes_around_the_parts_come_back_whole() {
    let store = store().await;
    for size in [PART - 1, PART, PART + 1, 2 * PART] {
        let key = key(&format!("size/{size}"));
        let stored = store
            .put(&key, Pattern::of(size), "application/octet-stream")
            .await
            .unwrap();
        assert_eq!((stored.size, stored.sha256), (size, Pattern::digest(size)));
        let download = store.get_verified(&key, stored.sha256).await.unwrap().unwrap();
        assert_eq!((download.meta().size, download.length()), (size, size));
        let chunks = download.try_fold(0, async |sum, chunk| Ok(sum + chunk.len() as u64));
        assert_eq!(chunks.await.unwrap(), size);
    }
}

#[tokio::test]
async fn a_large_artifact_keeps_its_digest_when_it_was_known_before() {
    let store = store().await;
    let (size, digest) = (PART + 5, Pattern::digest(PART + 5));
    store
        .put_verified(&key("known"), Pattern::of(size), "a/b", digest)
        .await
        .unwrap();
    assert_eq!(store.head(&key("known")).await.unwrap().unwrap().sha256, Some(digest));
    store.put(&key("unknown"), Pattern::of(size), "a/b").await.unwrap();
    assert_eq!(store.head(&key("unknown")).await.unwrap().unwrap().sha256, None);
    let wrong = store
        .get_verified(&key("unknown"), Pattern::digest(1))
        .await
        .unwrap()
        .unwrap();
    let read = wrong.try_for_each(async |_| Ok(())).await;
    assert!(
        matches!(read, Err(Error::Corrupt { found, .. }) if found == digest),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_range_of_a_large_artifact_spans_parts() {
    let store = store().await;
    store.put(&key("large"), Pattern::of(2 * PART), "a/b").await.unwrap();
    let range = store
        .get_range(&key("large"), PART - 3, Some(6))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(range.into_bytes(6).await.unwrap(), Pattern::bytes(PART - 3, PART + 3));
}

#[tokio::test]
async fn bytes_that_are_not_the_expected_ones_are_not_stored() {
    let store = store().await;
    for size in [100, PART + 1] {
        let key = key(&format!("expected/{size}"));
        let expected = Pattern::digest(size);
        store
            .put_verified(&key, Pattern::of(size), "a/b", expected)
            .await
            .unwrap();
        let other = Pattern { at: 1, left: size };
        let refused = store.put_verified(&key, other, "a/b", expected).await;
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
        // What was there is still there.
        let download = store.get_verified(&key, expected).await.unwrap().unwrap();
        download.try_for_each(async |_| Ok(())).await.unwrap();
    }
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The peak is that of a process. Where other tests run in this one too, the test runs itself again, alone.
#[tokio::test]
async fn memory_does_not_grow_with_the_artifact() {
    if std::env::args().any(|argument| argument == "--exact") {
        return measure_memory().await;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args([
        "--exact",
        "artifacts::streaming::memory_does_not_grow_with_the_artifact",
    ]);
    let outcome = alone.output().unwrap();
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success() && text.contains("1 passed"), "{text}");
}

async fn measure_memory() {
    let store = store().await;
    let key = key("huge");
    store.put(&key, Pattern::of(2 * PART), "a/b").await.unwrap();
    let before = peak_memory();

    let size = 12 * PART;
    let stored = store.put(&key, Pattern::of(size), "a/b").await.unwrap();
    let mut reader = store
        .get_verified(&key, stored.sha256)
        .await
        .unwrap()
        .unwrap()
        .into_reader();
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = reader.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    assert_eq!(format!("{:x}", hasher.finalize()), stored.sha256.to_string());

    let grown = (peak_memory() - before) * 1024;
    assert!(grown < 2 * PART, "{grown} bytes more for {size} than for {}", 2 * PART);
}
