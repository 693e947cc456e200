//! The service behind the publisher: lanes that commit beside each other, each for its share of the swarms.
//!
//! Swarms do not wait for each other in the database, so they need not wait for each other here. A swarm keeps to its lane: what
//! is called for it meets in one batch, and its waiting claims are in one place.

use tokio::task::JoinSet;

use super::{CancellationToken, Postgres, Publisher, QUEUE, Registry, RelayQueue, StreamNames, lane::Lane, mpsc};

/// Transactions that are under way at a time, at most. Each takes a connection from the pool.
const LANES: usize = 4;

/// Commits what publishers hand over.
pub struct Service {
    lanes: Vec<Lane>,
    postgres: Postgres,
    relay: RelayQueue,
    closing: CancellationToken,
    /// Ends what runs beside the lanes.
    done: CancellationToken,
}

impl Service {
    /// The service and the handle to it. `batch_size`: how many events one transaction takes, at most.
    #[must_use]
    pub fn new(postgres: Postgres, streams: StreamNames, batch_size: usize, relay: RelayQueue) -> (Self, Publisher) {
        let (closing, done) = (CancellationToken::new(), CancellationToken::new());
        // Half of the connections are for everything else.
        let count = (postgres.pool_status().max / 2).clamp(1, LANES);
        let (senders, lanes) = (0..count)
            .map(|_| {
                let (sender, calls) = mpsc::channel(QUEUE);
                let parts = (postgres.clone(), streams.clone(), batch_size.max(1));
                (
                    sender,
                    Lane::new(parts, calls, relay.clone(), (closing.clone(), done.clone())),
                )
            })
            .unzip();
        let publisher = Publisher::new(
            senders,
            Registry::new(postgres.clone()),
            relay.tracer.clone(),
            closing.clone(),
        );
        let service = Self {
            lanes,
            postgres,
            relay,
            closing,
            done,
        };
        (service, publisher)
    }

    /// Runs until `shutdown`; then refuses new calls, commits those accepted, and returns.
    pub async fn run(self, shutdown: CancellationToken) {
        let _ends_with_this = self.done.clone().drop_guard();
        let mut lanes = JoinSet::new();
        for lane in self.lanes {
            lanes.spawn(lane.run(shutdown.clone()));
        }
        let lanes = async {
            while let Some(ended) = lanes.join_next().await {
                if let Err(died) = ended
                    && let Ok(panic) = died.try_into_panic()
                {
                    // Some swarms would be left without anybody who commits for them.
                    std::panic::resume_unwind(panic);
                }
            }
            self.closing.cancel();
            self.done.cancel();
        };
        tokio::join!(lanes, self.relay.bells.tell_others(&self.postgres, &self.done));
    }
}
