//! What a program says on its standard error.
//!
//! Invariants: it is read as long as the program runs, so that no program stops for want of a reader; only its end is kept; a
//! flood is read slowly, so that it costs its writer the time and not the brain.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::escape::escaped;

/// How much of the end is kept.
pub(super) const KEPT_BYTES: usize = 64 << 10;

/// After this much it is a flood.
const FLOOD_BYTES: usize = 8 << 20;

/// How long to wait between two pieces of a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Stderr {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reading: AbortOnDropHandle<()>,
}

impl Stderr {
    pub(super) fn read(mut from: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let reading = {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut piece = vec![0; 16 << 10];
                let mut total = 0_usize;
                while let Ok(count @ 1..) = from.read(&mut piece).await {
                    keep(&kept, &piece[..count]);
                    total = total.saturating_add(count);
                    if total > FLOOD_BYTES {
                        tokio::time::sleep(FLOOD_PAUSE).await;
                    }
                }
            })
        };
        Self {
            kept,
            reading: AbortOnDropHandle::new(reading),
        }
    }

    /// The end of all that was said by a program that has ended, escaped.
    pub(super) async fn into_text(self) -> String {
        // Everything is in the pipe already; the wait is bounded for the case that somebody else holds it open.
        let _ = timeout(Duration::from_millis(200), self.reading).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        escaped(&String::from_utf8_lossy(kept.make_contiguous()), 4 * KEPT_BYTES)
    }
}

fn keep(kept: &Mutex<VecDeque<u8>>, piece: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend(piece);
    let over = kept.len().saturating_sub(KEPT_BYTES);
    kept.drain(..over);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[tokio::test]
    async fn the_end_is_kept_and_escaped() {
        let mut said = vec![b'x'; 3 * KEPT_BYTES];
        said.extend(b"end \x1b[31m\xff");
        let text = Stderr::read(Box::new(Cursor::new(said))).into_text().await;
        assert!(
            text.ends_with("xend \\u{1b}[31m\u{fffd}"),
            "{}",
            &text[text.len() - 40..]
        );
        assert!(text.len() < KEPT_BYTES + 20);
    }
}
