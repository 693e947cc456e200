//! Roles and databases of a development server.

use anyhow::{Context, Result, bail};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::{PASSWORD, SUPERUSER};

/// Who is to use which database.
#[derive(Clone, Debug)]
pub struct Access {
    /// Name of the role; made a superuser, since migrations may create extensions.
    pub user: String,
    /// The role's password.
    pub password: String,
    /// Name of the database, owned by the role.
    pub database: String,
}

/// Makes sure that the role exists with this password and that its database exists.
///
/// # Errors
/// When the server cannot be reached as superuser, or refuses.
pub async fn ensure_access(port: u16, access: &Access) -> Result<()> {
    let client = connect_as_superuser(port, access).await?;
    let (user, database) = (identifier(&access.user), identifier(&access.database));
    let known = client
        .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&access.user])
        .await?;
    let verb = if known.is_some() { "ALTER" } else { "CREATE" };
    let statement = format!(
        "{verb} ROLE {user} LOGIN SUPERUSER PASSWORD {}",
        literal(&access.password)
    );
    client
        .batch_execute(&statement)
        .await
        .with_context(|| format!("cannot prepare the role {user}"))?;
    let known = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&access.database])
        .await?;
    if known.is_none() {
        let statement = format!("CREATE DATABASE {database} OWNER {user}");
        client
            .batch_execute(&statement)
            .await
            .with_context(|| format!("cannot create the database {database}"))?;
    }
    Ok(())
}

/// The superuser's password is `postgres`, unless an earlier call changed it because the developer works as superuser.
async fn connect_as_superuser(port: u16, access: &Access) -> Result<Client> {
    let mut passwords = vec![PASSWORD];
    if access.user == SUPERUSER {
        passwords.push(&access.password);
    }
    for password in passwords {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(port)
            .user(SUPERUSER)
            .password(password)
            .dbname(SUPERUSER);
        match config.connect(NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {}
            Err(error) => return Err(error).context(format!("cannot reach PostgreSQL on port {port}")),
        }
    }
    bail!(
        "PostgreSQL on port {port} accepts neither its first password nor PGPASSWORD for the role {SUPERUSER}; put \
         PGPASSWORD back to what it was, or start afresh with `cargo xtask dev-reset`"
    )
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal that holds whatever the server's settings: `E'…'` with quotes and backslashes doubled.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_cannot_leave_their_quotes() {
        assert_eq!(identifier("a\"; DROP ROLE b"), "\"a\"\"; DROP ROLE b\"");
        assert_eq!(literal("it's \\ all"), "E'it''s \\\\ all'");
    }
}
