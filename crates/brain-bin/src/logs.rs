//! Set-up of the log: level, form and redaction. Everything goes to standard error.
//!
//! Invariants: a field whose name says that it holds a secret is written as `[redacted]` in every form; what looks like a
//! credential is taken out of every other text, messages and errors among them; settings that are secret are of a type that
//! shows `[REDACTED]` to whoever prints it.

mod json;
mod mask;
mod pretty;
mod redact;

use brain_config::{Log, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub(crate) use self::json::line as json_line;

/// The log of `brain serve`.
pub(crate) fn init_service(settings: &Log) {
    init(settings.format, targets(settings.level));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or(payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            error = message.unwrap_or("unknown"),
            code.location = place,
            "a task panicked"
        );
    }));
}

/// The log of a command that runs once: only what a person should know, as text, unless debugging is on.
pub(crate) fn init_command(settings: &Log) {
    let level = if settings.level == LogLevel::Debug {
        LogLevel::Debug
    } else {
        LogLevel::Error
    };
    init(LogFormat::Pretty, targets(level));
}

fn init(format: LogFormat, targets: Targets) {
    let registry = tracing_subscriber::registry();
    // A second initialisation would be a mistake of this program; the first one stays in force then.
    let _ = match format {
        LogFormat::Json => registry
            .with(json::JsonLines::new(std::io::stderr).with_filter(targets))
            .try_init(),
        LogFormat::Pretty => registry.with(pretty::layer().with_filter(targets)).try_init(),
    };
}

/// Our own crates speak at the configured level, the libraries below them only when something is the matter.
fn targets(level: LogLevel) -> Targets {
    let (ours, theirs) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    // `brain` is the prefix of all of our crates and the name of this one.
    Targets::new().with_default(theirs).with_target("brain", ours)
}
