//! Listing page by page.

use brain_connectivity::artifacts::{Cursor, Error};

use super::{key, store};

#[tokio::test]
async fn pages_give_every_artifact_once_in_order() {
    let store = store().await;
    for number in 0..25 {
        store
            .put(&key(&format!("runs/{number:02}")), &b"x"[..], "text/plain")
            .await
            .unwrap();
    }
    store.put(&key("other"), &b"xyz"[..], "text/plain").await.unwrap();

    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = store.list("runs/", cursor.as_ref(), 10).await.unwrap();
        sizes.push(page.entries.len());
        seen.extend(page.entries.into_iter().map(|entry| entry.key.to_string()));
        // A cursor goes to a client and comes back as text.
        cursor = page.next.map(|next| Cursor::from_text(next.as_str()));
        if cursor.is_none() {
            break;
        }
        // What is stored in the part that was given already does not disturb the rest.
        store.put(&key("runs/00-later"), &b"x"[..], "text/plain").await.unwrap();
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(
        seen,
        (0..25).map(|number| format!("runs/{number:02}")).collect::<Vec<_>>()
    );

    let all = store.list("", None, 1000).await.unwrap();
    assert_eq!((all.entries.len(), all.next), (27, None));
    assert_eq!((all.entries[0].key.as_str(), all.entries[0].size), ("other", 3));
    assert!(all.entries[0].last_modified.is_some());
    assert!(store.list("nothing", None, 10).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_bad_limit_prefix_or_cursor_is_refused() {
    let store = store().await;
    let cursor = |text: &str| Cursor::from_text(text);
    for refused in [
        store.list("", None, 0).await,
        store.list("", None, 1001).await,
        store.list("/a", None, 10).await,
        store.list("a\n", None, 10).await,
        store.list("", Some(&cursor("")), 10).await,
        store.list("", Some(&cursor("xyz")), 10).await,
        store.list("", Some(&cursor("ff")), 10).await,
        store.list("", Some(&cursor("é1")), 10).await,
    ] {
        assert!(matches!(refused, Err(Error::InvalidRequest { .. })), "{refused:?}");
    }
}
