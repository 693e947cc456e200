//! Timing of a worker on a paused clock.
