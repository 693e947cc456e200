//! Entries that cannot become events, as dead letters.

use crate::{
    bus::entry::RawEntry,
    dead_letters::{NewDeadLetter, Reason},
    ids::{StreamName, TenantId},
};

/// How much of what is wrong with an entry is kept.
const DETAIL_CHARS: usize = 2000;

/// The dead letter that an entry of a stream becomes.
pub(super) fn letter(stream: &StreamName, raw: &RawEntry, reason: Reason, detail: String) -> NewDeadLetter {
    // It may quote foreign bytes, such as the name of an unknown field: no text column holds U+0000.
    let detail: String = detail
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(DETAIL_CHARS)
        .collect();
    // Where nobody can tell whose it is, it is the operator's.
    let tenant_id = raw.tenant().unwrap_or_else(|_| TenantId::single());
    tracing::warn!(stream.name = %stream, stream.entry_id = %raw.id, tenant.id = %tenant_id, reason = reason.as_str(), detail, "stream entry became a dead letter");
    NewDeadLetter {
        tenant_id,
        stream: stream.clone(),
        entry: raw.id,
        reason,
        detail,
        raw: raw.raw(),
        deliveries: raw.deliveries,
        swarm_id: None,
        event_id: None,
        event_type: None,
    }
}
