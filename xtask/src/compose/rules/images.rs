//! Tells an image reference that always means one release from one that moves.

/// Whether the reference has a digest, or a tag that opens with a version of two numbers or more or carries a release
/// date. `pg18`, `16-alpine` and `latest` move.
pub(super) fn is_pinned(image: &str) -> bool {
    if image.contains("@sha256:") {
        return true;
    }
    let repository_and_tag = image.rsplit('/').next().unwrap_or(image);
    let Some((_, tag)) = repository_and_tag.split_once(':') else {
        return false;
    };
    let version = tag.split('-').next().unwrap_or(tag).trim_start_matches('v');
    let mut numbers = version.split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_version = numbers.next().is_some_and(is_number) && numbers.next().is_some_and(is_number);
    is_version
        || tag
            .strip_prefix("RELEASE.")
            .is_some_and(|date| date.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_pinned;

    #[test]
    fn only_full_versions_and_digests_are_pinned() {
        for image in [
            "pgvector/pgvector:0.8.6-pg18-trixie",
            "valkey/valkey:9.1.2-alpine",
            "registry.example/minio/minio:RELEASE.2025-09-07T16-13-09Z",
            "registry.example:5000/postgres:18.1",
            "redis@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            assert!(is_pinned(image), "{image}");
        }
        for image in [
            "redis",
            "redis:latest",
            "redis:7",
            "redis:7-alpine3.20",
            "pgvector/pgvector:pg18",
            "registry.example:5000/postgres",
            "minio/minio:RELEASE",
        ] {
            assert!(!is_pinned(image), "{image}");
        }
    }
}
