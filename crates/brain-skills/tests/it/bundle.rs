//! Skills as files: hostile archives and directories, installs, crashes, and many at a time.

mod archives;
mod concurrent;
mod crash;
mod directories;
mod fixture;
mod installs;
mod launches;
