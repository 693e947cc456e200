//! A foreign program: a plain Redis client that knows the stream and the field `event`, and nothing else of the brain.

use anyhow::Context as _;
use brain_config::{Config, ExposeSecret as _};
use brain_swarm::bus::StreamNames;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::Builder;
use fred::types::config::{Config as RedisConfig, Server, ServerConfig, TlsConnector};

use super::meter::Meter;
use super::story::{Story, Way};

/// Entries of one pipeline.
const PIPELINE: usize = 20;

/// The client, connected.
pub(super) struct ForeignClient {
    client: Client,
    streams: StreamNames,
}

impl ForeignClient {
    pub(super) async fn connect(config: &Config) -> anyhow::Result<Self> {
        let redis = &config.redis;
        let server = Server::new(redis.host.as_str(), redis.port);
        let server = match redis.cluster {
            true => ServerConfig::Clustered {
                hosts: vec![server],
                policy: Default::default(),
            },
            false => ServerConfig::Centralized { server },
        };
        let tls = redis
            .tls
            .then(TlsConnector::default_rustls)
            .transpose()
            .context("cannot set up TLS for Redis")?;
        let driver = RedisConfig {
            server,
            username: redis.username.clone(),
            password: redis
                .password
                .as_ref()
                .map(|password| password.expose_secret().to_owned()),
            tls: tls.map(Into::into),
            ..RedisConfig::default()
        };
        let client = Builder::from_config(driver)
            .build()
            .context("cannot set up the Redis client")?;
        client.init().await.with_context(|| {
            format!(
                "Redis does not answer at {}:{} (REDIS_HOST, REDIS_PORT)",
                redis.host, redis.port
            )
        })?;
        Ok(Self {
            client,
            streams: StreamNames::new(&config.bus),
        })
    }

    /// Adds all tasks that go over the stream, a few at a time.
    pub(super) async fn publish_all(&self, story: &Story, meter: &Meter) -> anyhow::Result<()> {
        let stream = self.streams.of(&brain_swarm::ids::TenantId::single(), &story.swarm);
        for batch in story.going(Way::Xadd).chunks(PIPELINE) {
            let pipeline = self.client.pipeline();
            for task in batch {
                let fields = vec![("event", story.created(task))];
                let () = pipeline.xadd(stream.as_str(), false, None::<()>, "*", fields).await?;
            }
            let _entry_ids: Vec<String> = pipeline
                .all()
                .await
                .with_context(|| format!("XADD to {stream} failed"))?;
            meter.add(batch.len());
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        // The process is about to end; a connection that cannot say goodbye is closed all the same.
        let _ = self.client.quit().await;
    }
}
