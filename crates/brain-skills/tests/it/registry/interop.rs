//! python-tuf's own client reads what our authoring wrote.

use super::{
    authoring::{Registry, key, role},
    with_python_tuf,
};

#[test]
fn python_tuf_reads_a_registry_of_ours() {
    let made = Registry::new().with_publisher("acme", "acme-*");
    made.publish("acme-mail@1.0.0", "acme").unwrap();
    let pinned = made.path().join("metadata/1.root.json");
    let cache = made.folder.path().join("cache");
    let read = || with_python_tuf("read_repository.py", &[&made.path(), &pinned, &cache]);
    let first = read();
    assert!(
        first.contains("acme-mail/1.0.0.tar.gz: archive of acme-mail@1.0.0"),
        "{first}"
    );

    // With the same cache: rotated keys, another publisher, a revocation.
    let mut names = vec!["root", "targets", "snapshot", "timestamp"];
    for (at, new) in ["root-2", "targets-2", "snapshot-2", "timestamp-2"]
        .into_iter()
        .enumerate()
    {
        let old = names[at];
        names.push(new);
        let keys = made.keys(&names);
        made.author
            .rotate(old, &role(&[&key(made.folder.path(), new)], 1), &keys)
            .unwrap();
    }
    let keys = made.keys(&["targets-2", "snapshot-2", "timestamp-2", "globex", "acme"]);
    let of = role(&[&key(made.folder.path(), "globex")], 1);
    made.author.add_publisher("globex", &of, &["globex-*"], &keys).unwrap();
    let subject = brain_skills::registry::revoked::Subject::Reference(super::skill("acme-mail@1.0.0"));
    made.author.revoke(subject, "it reads secrets", &keys).unwrap();
    let text = "globex-tool@1.0.0-rc.1+b";
    let tree = brain_skills::digest::Digest::of(text.as_bytes());
    let archive = made.archive("archive of globex");
    made.author
        .publish(&archive, &super::skill(text), &tree, "globex", &keys)
        .unwrap();
    let second = read();
    assert!(
        second.contains("globex-tool/1.0.0-rc.1+b.tar.gz: archive of globex"),
        "{second}"
    );
    assert!(second.contains("it reads secrets"), "{second}");
    made.author.remove_publisher("globex", &keys).unwrap();
    let third = read();
    assert!(third.contains("acme-mail") && !third.contains("globex"), "{third}");
}
