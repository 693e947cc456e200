//! The worker processes: started, killed, paused, and replaced when they are gone.
//!
//! A worker that dies by SIGKILL was killed by a fault or by a poisoned task. One that ends in another way is a defect,
//! of the harness or of what it was told.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use brain_devstack::process::{Environment, Launch, Running, Signal};

use super::world::World;
use super::{verify::Violation, worker};

/// How often the workers are looked after.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// All workers.
#[derive(Clone)]
pub(super) struct Fleet {
    world: Arc<World>,
    program: PathBuf,
    urls: Vec<String>,
    seed: u64,
    state: Arc<Mutex<State>>,
}

struct State {
    slots: Vec<Slot>,
    starts: u64,
    ended_badly: Vec<Violation>,
}

struct Slot {
    agent: String,
    swarm: String,
    running: Option<Running>,
    not_before: Instant,
}

/// A time in which a worker was frozen, in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Freeze {
    /// The agent's name.
    pub(super) agent: String,
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Fleet {
    /// Starts `count` workers, in turn for each swarm.
    pub(super) fn start(world: Arc<World>, urls: Vec<String>, count: usize, seed: u64) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let slots = (0..count).map(|number| Slot {
            agent: format!("worker-{number}"),
            swarm: world.swarms[number % world.swarms.len()].clone(),
            running: None,
            not_before: Instant::now(),
        });
        let state = State {
            slots: slots.collect(),
            starts: 0,
            ended_badly: Vec::new(),
        };
        let fleet = Self {
            world,
            program,
            urls,
            seed,
            state: Arc::new(Mutex::new(state)),
        };
        fleet.look_after()?;
        Ok(fleet)
    }

    /// Replaces workers that are gone, for ever.
    pub(super) async fn keep(&self) -> Result<()> {
        loop {
            self.look_after()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn look_after(&self) -> Result<()> {
        let mut state = self.state();
        let State {
            slots,
            starts,
            ended_badly,
        } = &mut *state;
        for slot in slots {
            if let Some(running) = &mut slot.running {
                let Some(status) = running.ended() else { continue };
                use std::os::unix::process::ExitStatusExt as _;
                if status.signal() != Some(Signal::SIGKILL as i32) {
                    ended_badly.push(Violation::new(
                        "worker ended",
                        format!("{} ended by itself with {status}", slot.agent),
                    ));
                }
                running.finish();
                slot.running = None;
            }
            if slot.not_before <= Instant::now() {
                *starts += 1;
                slot.running = Some(self.launch(slot, *starts)?);
            }
        }
        Ok(())
    }

    fn launch(&self, slot: &Slot, start: u64) -> Result<Running> {
        let folder = self.world.processes();
        let options = [
            ("--agent", slot.agent.clone()),
            ("--swarm", slot.swarm.clone()),
            ("--urls", self.urls.join(",")),
            ("--ledger", self.world.ledgers().join(&slot.agent).display().to_string()),
            ("--lease-ms", self.world.lease.as_millis().to_string()),
            ("--seed", self.seed.wrapping_add(start).to_string()),
        ];
        let mut arguments = vec![worker::COMMAND.into()];
        for (name, value) in options {
            arguments.extend([name.into(), value.into()]);
        }
        Running::start(&Launch {
            program: self.program.clone(),
            arguments,
            environment: Environment::Bare(Vec::new()),
            directory: folder.clone(),
            log: folder.join(&slot.agent).with_extension("log"),
            pid_file: folder.join(&slot.agent).with_extension("pid"),
            account: None,
        })
    }

    /// The name of a worker as it is now.
    pub(super) fn agent(&self, number: usize) -> String {
        self.state().slots[number].agent.clone()
    }

    /// Kills a worker; another takes its place after `absent`, under the same name or a new one.
    pub(super) fn kill(&self, number: usize, absent: Duration, renamed: bool) {
        let mut state = self.state();
        let starts = state.starts;
        let slot = &mut state.slots[number];
        if let Some(mut running) = slot.running.take() {
            running.finish();
        }
        slot.not_before = Instant::now() + absent;
        if renamed {
            slot.agent = format!("worker-{number}-{starts}");
        }
    }

    /// Freezes a worker and returns its name.
    pub(super) fn pause(&self, number: usize) -> String {
        self.signal(number, Signal::SIGSTOP)
    }

    pub(super) fn resume(&self, number: usize) {
        self.signal(number, Signal::SIGCONT);
    }

    fn signal(&self, number: usize, signal: Signal) -> String {
        let mut state = self.state();
        let slot = &mut state.slots[number];
        if let Some(running) = slot.running.as_mut() {
            running.signal(signal);
        }
        slot.agent.clone()
    }

    /// The workers that ended in a way that nobody meant.
    pub(super) fn ended_badly(&self) -> Vec<Violation> {
        std::mem::take(&mut self.state().ended_badly)
    }

    /// Ends all.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        for slot in &mut state.slots {
            slot.not_before = Instant::now() + Duration::from_secs(86_400);
            if let Some(mut running) = slot.running.take() {
                running.finish();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
