//! The migrated database that every test's own is copied from, made once for each version of the migrations.

use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

/// The name of the migrated template, which `fill` migrates when there is none yet.
///
/// The first test to come makes it, under an advisory lock that the others wait at. A template counts only once it is
/// marked as one, so a half-made one that a killed test left behind is made anew.
pub(crate) async fn ensure<F>(admin: &Client, fill: F) -> Result<String>
where
    F: AsyncFnOnce(&str) -> Result<()>,
{
    let name = name()?;
    if is_ready(admin, &name).await? {
        return Ok(name);
    }
    admin
        .execute("SELECT pg_advisory_lock(hashtext($1))", &[&name])
        .await
        .context("cannot lock the template")?;
    let made = make(admin, &name, fill).await;
    admin
        .execute("SELECT pg_advisory_unlock(hashtext($1))", &[&name])
        .await
        .context("cannot unlock the template")?;
    made.map(|()| name)
}

async fn make<F>(admin: &Client, name: &str, fill: F) -> Result<()>
where
    F: AsyncFnOnce(&str) -> Result<()>,
{
    if is_ready(admin, name).await? {
        return Ok(());
    }
    let run = |statement: String| async move {
        admin
            .batch_execute(&statement)
            .await
            .with_context(|| format!("refused: {statement}"))
    };
    run(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    run(format!("CREATE DATABASE {name}")).await?;
    fill(name).await.context("the migrations failed")?;
    // Copying needs a template that nobody is connected to.
    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await?;
    let leave = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    admin
        .execute(leave, &[&name])
        .await
        .context("cannot close the connections to the template")?;
    run(format!("ALTER DATABASE {name} IS_TEMPLATE true")).await
}

async fn is_ready(admin: &Client, name: &str) -> Result<bool> {
    let row = admin
        .query_opt("SELECT datistemplate FROM pg_database WHERE datname = $1", &[&name])
        .await?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Named after the migrations and after the test program, for the code that applies them counts as well.
fn name() -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    digest.update(program.as_os_str().as_encoded_bytes());
    let changed = std::fs::metadata(&program)?
        .modified()?
        .duration_since(std::time::UNIX_EPOCH)?;
    digest.update(changed.as_nanos().to_be_bytes());
    let short: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("brain_template_{short}"))
}
