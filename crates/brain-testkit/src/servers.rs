//! Servers of a test's own, for tests that stop, kill or freeze them.
//!
//! They stop when dropped. What a killed test leaves behind, `cargo xtask test` ends.

use std::path::PathBuf;

use brain_devstack::{Binaries, PostgresOptions, PostgresServer, ValkeyCluster, ValkeyOptions, ValkeyServer};

use crate::stack::{unique, variable};

/// A fresh folder for this test, removed at the end of the run.
///
/// # Panics
/// When the test was not run by `cargo xtask test`.
#[must_use]
pub fn scratch_dir() -> PathBuf {
    let folder = PathBuf::from(variable("BRAIN_TEST_DIR")).join(unique("scratch"));
    match std::fs::create_dir_all(&folder) {
        Ok(()) => folder,
        Err(error) => panic!("cannot create {}: {error}", folder.display()),
    }
}

/// A PostgreSQL server for this test alone, on a free port; with or without the `vector` extension.
///
/// # Panics
/// When it cannot be started.
pub async fn own_postgres(pgvector: bool) -> PostgresServer {
    let data_dir = scratch_dir().join("postgres");
    let options = PostgresOptions {
        binaries: binaries(),
        data_dir,
        port: 0,
        pgvector,
    };
    PostgresServer::start(options)
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// A Valkey server for this test alone, on a free port.
///
/// # Panics
/// When it cannot be started.
pub async fn own_valkey() -> ValkeyServer {
    let dir = scratch_dir().join("valkey");
    let options = ValkeyOptions {
        binaries: binaries(),
        dir,
        port: 0,
        cluster: false,
    };
    ValkeyServer::start(options)
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// A Valkey Cluster of `nodes` primaries for this test alone.
///
/// # Panics
/// When it cannot be started.
pub async fn own_valkey_cluster(nodes: usize) -> ValkeyCluster {
    let dir = scratch_dir().join("cluster");
    ValkeyCluster::start(&binaries(), dir, nodes)
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

fn binaries() -> Binaries {
    Binaries::locate_or_install(&|_| ()).unwrap_or_else(|error| panic!("{error:#}"))
}
