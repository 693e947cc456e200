//! Schedules: each planned time creates one task, whoever dies or looks twice.

use std::time::Duration;

use brain_swarm::{
    ids::{ActorId, ScheduleId, SwarmId, TenantId},
    schedules::{self, Clock, Definition, Key, Look, MissedRuns, Options, Schedule, Service, Wish},
};
use brain_testkit::eventually;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::{World, event};

/// A clock that shows this time now.
fn showing(time: &str) -> Clock {
    let time: Timestamp = time.parse().unwrap();
    Clock {
        offset: time.duration_since(Timestamp::now()),
    }
}

fn key(schedule: &str) -> Key {
    Key {
        tenant_id: TenantId::single(),
        swarm_id: SwarmId::new("s").unwrap(),
        schedule_id: ScheduleId::new(schedule).unwrap(),
    }
}

fn wish(cron: &str, time_zone: &str) -> Wish {
    let Value::Object(task) = json!({"inputs": {"n": 1}, "priority": 3}) else {
        unreachable!()
    };
    Wish {
        cron: cron.to_owned(),
        time_zone: time_zone.to_owned(),
        missed_runs: MissedRuns::Skip,
        task,
        enabled: true,
        actor_id: ActorId::new("planner").unwrap(),
    }
}

async fn put(world: &World, schedule: &str, clock: Clock, wish: Wish) -> Schedule {
    let definition = Definition::new(key(schedule), wish, 1 << 20).unwrap();
    schedules::put(&world.postgres, clock, &definition).await.unwrap()
}

async fn read(world: &World, schedule: &str) -> Schedule {
    schedules::get(&world.postgres, &key(schedule)).await.unwrap().unwrap()
}

fn service(world: &World, clock: Clock) -> (Service, schedules::Handle) {
    Service::new(Options {
        postgres: world.postgres.clone(),
        publisher: world.publisher.clone(),
        clock,
    })
}

async fn look(world: &World, clock: Clock) -> Look {
    service(world, clock).0.look().await.unwrap()
}

/// The planned times that created a task, in the order of their events.
async fn fired(world: &World, schedule: &str) -> Vec<String> {
    let prefix = format!("schedule:{schedule}:");
    let events = world.events("s").await;
    let created = events.iter().filter(|event| event.kind == "task.created");
    created
        .filter_map(|event| event.id.as_str().strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

async fn plan(world: &World, schedule: &str, next_at: &str) {
    let update = format!("UPDATE swarm_schedules SET next_at = '{next_at}' WHERE schedule_id = '{schedule}'");
    world.execute(&update).await;
}

#[tokio::test]
async fn two_services_at_once_create_each_task_once() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let running: Vec<_> = (0..2)
        .map(|_| {
            let (service, handle) = service(&world, Clock::default());
            (tokio::spawn(service.run(stop.clone())), handle)
        })
        .collect();
    put(&world, "often", Clock::default(), wish("* * * * * *", "UTC")).await;
    // They wait for nothing in particular, half a minute: the bell wakes them.
    running.iter().for_each(|(_, handle)| handle.ring());
    let times = eventually("six firings", async || {
        let times = fired(&world, "often").await;
        (times.len() >= 6).then_some(times)
    })
    .await;
    let seconds: Vec<i64> = times
        .iter()
        .map(|time| time.parse::<Timestamp>().unwrap().as_second())
        .collect();
    let first = seconds[0];
    let expected: Vec<i64> = (first..).take(seconds.len()).collect();
    assert_eq!(seconds, expected, "each second once, in order");
    stop.cancel();
    for (task, _) in running {
        tokio::time::timeout(Duration::from_secs(2), task)
            .await
            .unwrap()
            .unwrap();
    }
    let schedule = read(&world, "often").await;
    assert!(schedule.last_task_id.unwrap().as_str().starts_with("schedule:often:"));
    world.sound().await;
}

#[tokio::test]
async fn a_replica_that_dies_before_the_schedule_moves_on_fires_nothing_twice() {
    let world = World::new().await;
    let clock = showing("2026-06-01T10:00:10Z");
    put(&world, "hourly", clock, wish("0 * * * *", "UTC")).await;
    plan(&world, "hourly", "2026-06-01T10:00:00Z").await;
    assert_eq!(look(&world, clock).await.fired, 1);
    let moved = read(&world, "hourly").await;
    assert_eq!(moved.next_at.unwrap().to_string(), "2026-06-01T11:00:00Z");
    assert_eq!(moved.last_fired_at.unwrap().to_string(), "2026-06-01T10:00:00Z");
    // What it leaves behind: the event is stored, the schedule stands where it stood. Another one may have changed its task.
    plan(&world, "hourly", "2026-06-01T10:00:00Z").await;
    assert_eq!(look(&world, clock).await.fired, 0);
    let mut changed = wish("0 * * * *", "UTC");
    changed.actor_id = ActorId::new("somebody-else").unwrap();
    plan(&world, "hourly", "2026-06-01T10:00:00Z").await;
    put(&world, "hourly", clock, changed).await;
    assert_eq!(look(&world, clock).await.fired, 0);
    assert_eq!(fired(&world, "hourly").await, ["2026-06-01T10:00:00Z"]);
    assert_eq!(read(&world, "hourly").await.next_at, moved.next_at);
    world.sound().await;
}

#[tokio::test]
async fn missed_runs_are_left_out_made_up_for_once_or_each() {
    let world = World::new().await;
    let clock = showing("2026-06-01T10:35:00Z");
    for policy in MissedRuns::ALL {
        let wish = Wish {
            missed_runs: policy,
            ..wish("*/10 * * * *", "UTC")
        };
        put(&world, policy.as_str(), clock, wish).await;
        plan(&world, policy.as_str(), "2026-06-01T10:00:00Z").await;
    }
    assert_eq!(look(&world, clock).await.fired, 5);
    assert_eq!(look(&world, clock).await.fired, 0);
    let minutes = async |schedule: &str| {
        let times = fired(&world, schedule).await;
        times.iter().map(|time| time[14..16].to_owned()).collect::<Vec<_>>()
    };
    assert!(minutes("skip").await.is_empty());
    assert_eq!(minutes("once").await, ["30"]);
    assert_eq!(minutes("all").await, ["00", "10", "20", "30"]);
    for policy in MissedRuns::ALL {
        let next_at = read(&world, policy.as_str()).await.next_at.unwrap();
        assert_eq!(next_at.to_string(), "2026-06-01T10:40:00Z");
    }
}

#[tokio::test]
async fn a_long_pause_is_made_up_for_in_portions() {
    let world = World::new().await;
    let clock = showing("2026-06-01T04:00:30Z");
    let all = Wish {
        missed_runs: MissedRuns::All,
        ..wish("* * * * *", "UTC")
    };
    put(&world, "each", clock, all).await;
    plan(&world, "each", "2026-06-01T00:00:00Z").await;
    let mut portions = Vec::new();
    for _ in 0..3 {
        let look = look(&world, clock).await;
        portions.push((look.fired, look.next_in < Duration::from_millis(10)));
    }
    assert_eq!(portions, [(100, true), (100, true), (41, false)]);
    let times = fired(&world, "each").await;
    assert_eq!((times.len(), times.is_sorted()), (241, true));
}

/// The night on which Berlin puts its clock forward, and the one on which it puts it back, as they will be.
#[tokio::test]
async fn changes_of_the_clock_are_played_through() {
    let world = World::new().await;
    let spring = showing("2026-03-29T00:59:57Z");
    let schedule = put(&world, "nightly", spring, wish("30 2 * * *", "Europe/Berlin")).await;
    assert_eq!(schedule.next_at.unwrap().to_string(), "2026-03-29T01:00:00Z");
    put(&world, "hourly", spring, wish("30 * * * *", "Europe/Berlin")).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(service(&world, spring).0.run(stop.clone()));
    let times = eventually("the time that does not exist", async || {
        Some(fired(&world, "nightly").await).filter(|times| !times.is_empty())
    })
    .await;
    assert_eq!(times, ["2026-03-29T01:00:00Z"], "right after the gap");
    stop.cancel();
    running.await.unwrap();
    assert!(fired(&world, "hourly").await.is_empty(), "half past three is next");

    // Half past two comes twice; the first time is by summer time.
    for (now, both) in [
        ("2026-10-24T23:30:30Z", (0, 1)),
        ("2026-10-25T00:30:30Z", (1, 2)),
        ("2026-10-25T01:30:30Z", (1, 3)),
        ("2026-10-25T02:30:30Z", (1, 4)),
        ("2026-10-26T01:30:30Z", (2, 5)),
    ] {
        look(&world, showing(now)).await;
        let since = async |schedule| {
            fired(&world, schedule)
                .await
                .iter()
                .filter(|time| time.as_str() > "2026-10")
                .count()
        };
        assert_eq!((since("nightly").await, since("hourly").await), both, "{now}");
    }
    assert_eq!(
        fired(&world, "nightly").await[1..],
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    world.sound().await;
}

#[tokio::test]
async fn a_disabled_schedule_fires_nothing_and_has_missed_nothing() {
    let world = World::new().await;
    let off = |enabled| Wish {
        enabled,
        missed_runs: MissedRuns::All,
        ..wish("*/10 * * * *", "UTC")
    };
    let before = showing("2026-06-01T10:05:00Z");
    assert!(put(&world, "on", before, off(true)).await.next_at.is_some());
    assert_eq!(put(&world, "on", before, off(false)).await.next_at, None);
    let later = showing("2026-06-01T12:05:00Z");
    let nothing = look(&world, later).await;
    assert_eq!(nothing.fired, 0);
    assert!(
        nothing.next_in > Duration::from_secs(25),
        "nothing is planned: {nothing:?}"
    );
    let again = put(&world, "on", later, off(true)).await;
    assert_eq!(again.next_at.unwrap().to_string(), "2026-06-01T12:10:00Z");
    assert_eq!(look(&world, later).await.fired, 0);
}

#[tokio::test]
async fn putting_the_same_again_keeps_the_plan_and_another_one_begins_anew() {
    let world = World::new().await;
    let clock = showing("2026-06-01T10:35:00Z");
    let once = |cron: &str, priority: i64| {
        let mut wish = wish(cron, "UTC");
        wish.missed_runs = MissedRuns::Once;
        wish.task.insert("priority".to_owned(), priority.into());
        wish
    };
    put(&world, "x", clock, once("*/10 * * * *", 1)).await;
    plan(&world, "x", "2026-06-01T10:00:00Z").await;
    let same = put(&world, "x", clock, once(" */10  * * * * ", 9)).await;
    assert_eq!(same.next_at.unwrap().to_string(), "2026-06-01T10:00:00Z");
    assert_eq!(same.task["priority"], 9);
    let other = put(&world, "x", clock, once("*/20 * * * *", 9)).await;
    assert_eq!(other.next_at.unwrap().to_string(), "2026-06-01T10:40:00Z");
    assert!(schedules::delete(&world.postgres, &key("x")).await.unwrap());
    assert!(!schedules::delete(&world.postgres, &key("x")).await.unwrap());
    assert_eq!(look(&world, clock).await.fired, 0);
}

#[tokio::test]
async fn what_can_never_be_stored_is_passed_over_and_keeps_nothing_else_waiting() {
    let world = World::new().await;
    let clock = showing("2026-06-01T10:00:10Z");
    for schedule in ["fine", "taken", "unfit", "unreadable"] {
        put(&world, schedule, clock, wish("0 * * * *", "UTC")).await;
        plan(&world, schedule, "2026-06-01T10:00:00Z").await;
    }
    // Somebody else has used the id; older versions stored what this one does not take.
    let mut taken = event("note.taken", "somebody", json!({}));
    taken["id"] = json!("schedule:taken:2026-06-01T10:00:00Z");
    world.publish(taken).await;
    world
        .execute("UPDATE swarm_schedules SET task = '{\"priority\": \"high\"}' WHERE schedule_id = 'unfit'")
        .await;
    world
        .execute("UPDATE swarm_schedules SET cron = 'sometimes' WHERE schedule_id = 'unreadable'")
        .await;
    assert_eq!(look(&world, clock).await.fired, 1);
    assert_eq!(fired(&world, "fine").await.len(), 1);
    for schedule in ["fine", "taken", "unfit"] {
        let next_at = read(&world, schedule).await.next_at.unwrap();
        assert_eq!(next_at.to_string(), "2026-06-01T11:00:00Z", "{schedule}");
    }
    assert_eq!(read(&world, "unreadable").await.next_at, None);
    let mended = put(&world, "unreadable", clock, wish("0 * * * *", "UTC")).await;
    assert_eq!(mended.next_at.unwrap().to_string(), "2026-06-01T11:00:00Z");
}

#[tokio::test]
async fn nonsense_is_refused_with_the_remedy() {
    let refused = |change: &dyn Fn(&mut Wish), max_bytes| {
        let mut wish = wish("0 * * * *", "UTC");
        change(&mut wish);
        Definition::new(key("x"), wish, max_bytes).unwrap_err().to_string()
    };
    let large = 1 << 20;
    insta::assert_snapshot!(refused(&|wish| wish.cron = "0 0 30 2 *".to_owned(), large), @r#"cron: "0 0 30 2 *" never fires: no month has such a day"#);
    insta::assert_snapshot!(refused(&|wish| wish.cron = "0 24 * * *".to_owned(), large), @r#"cron: the hour is "24"; write *, a value, a list (1,3), a range (1-5) or a step (*/2, 1-5/2); values are 0 to 23"#);
    insta::assert_snapshot!(refused(&|wish| wish.time_zone = "Berlin".to_owned(), large), @r#"timeZone: "Berlin" is not an IANA time zone; write a name such as UTC, Europe/Berlin or America/New_York"#);
    insta::assert_snapshot!(refused(&|wish| drop(wish.task.insert("role".to_owned(), json!(7))), large), @r#"task: payload of task.created version 1: /role: 7 is not of type "string""#);
    insta::assert_snapshot!(refused(&|wish| wish.actor_id = ActorId::new("studio-brain").unwrap(), large), @"task: actorId studio-brain is kept for the brain itself");
    insta::assert_snapshot!(refused(&|_| (), 100), @"task: the event is 268 bytes long, at most 100 are allowed (STUDIO_BRAIN_EVENT_MAX_BYTES)");
}

#[tokio::test]
async fn an_outage_is_waited_out_and_stopping_does_not_wait() {
    let world = World::new().await;
    put(&world, "often", Clock::default(), wish("* * * * * *", "UTC")).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(service(&world, Clock::default()).0.run(stop.clone()));
    eventually("a firing", async || {
        (!fired(&world, "often").await.is_empty()).then_some(())
    })
    .await;
    world.execute("ALTER TABLE swarm_schedules RENAME TO away").await;
    eventually("overdue firings", async || {
        let overdue = "SELECT count(*) FROM away WHERE next_at < clock_timestamp() - interval '1 second'";
        (world.count(overdue).await == 1).then_some(())
    })
    .await;
    let before = fired(&world, "often").await.len();
    world.execute("ALTER TABLE away RENAME TO swarm_schedules").await;
    eventually("more firings", async || {
        (fired(&world, "often").await.len() > before + 2).then_some(())
    })
    .await;
    world.execute("ALTER TABLE swarm_schedules RENAME TO away").await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(1), running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn schedules_are_read_by_page() {
    let world = World::new().await;
    for schedule in ["c", "a", "b"] {
        put(&world, schedule, Clock::default(), wish("@daily", "Asia/Tokyo")).await;
    }
    let page = async |after: Option<ScheduleId>| {
        let query = schedules::Query {
            tenant_id: TenantId::single(),
            swarm_id: SwarmId::new("s").unwrap(),
            after,
            limit: 2,
        };
        let page = schedules::list(&world.postgres, &query).await.unwrap();
        let ids: Vec<String> = page.schedules.iter().map(|one| one.schedule_id.to_string()).collect();
        (ids, page.next)
    };
    let (first, next) = page(None).await;
    assert_eq!(first, ["a", "b"]);
    assert_eq!(page(next).await, (vec!["c".to_owned()], None));
}
