//! Log lines for people: text with redacted fields, in which foreign text cannot control the terminal.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::{Layer, field::MakeExt as _, fmt, registry::LookupSpan};

use super::{mask::masked, redact};
use crate::render::escape::escaped;

pub(super) fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let fields = fmt::format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", escaped(&masked(&format!("{value:?}")))),
        name if redact::is_secret(name) => write!(writer, "{name}={}", redact::REDACTED),
        name => write!(writer, "{name}={}", escaped(&masked(&format!("{value:?}")))),
    });
    fmt::layer()
        .fmt_fields(fields.delimited(" "))
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr)
}
