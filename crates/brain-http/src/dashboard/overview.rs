//! `/dashboard`: how the service and a swarm are, at a glance.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_connectivity::health::Report;
use brain_swarm::{
    ids::SwarmId,
    overview::{self, Counts, Minute},
};

use super::{
    frame::{self, Frame, OVERVIEW, Place},
    reply,
    session::Visitor,
    sparkline::{Number, Sparkline},
    text::When,
};
use crate::{app::App, problem::Problem, query::Query, reply::now};

/// Swarms that are listed.
const SWARMS: usize = 50;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    at: When,
    /// How it works, with its version and the name of the replica, for those who may see the status.
    status: Option<(Arc<Report>, String, String)>,
    counts: Counts,
    sees: Sees,
    hour: Option<Hour>,
    /// For those who may see something of swarms.
    swarms: Option<Vec<SwarmId>>,
}

/// Which parts a visitor may see.
struct Sees {
    tasks: bool,
    agents: bool,
    letters: bool,
}

/// The last hour as drawings.
struct Hour {
    events: Sparkline,
    events_in_all: i64,
    ended: Sparkline,
    latency: Sparkline,
    slowest: Option<Number>,
}

impl Hour {
    fn of(minutes: &[Minute]) -> Option<Self> {
        if minutes.is_empty() {
            return None;
        }
        let drawn = |value: fn(&Minute) -> f64| -> Vec<f64> { minutes.iter().map(value).collect() };
        #[allow(clippy::cast_precision_loss, reason = "a drawing is no more exact than its pixels")]
        let (events, ended) = (drawn(|one| one.events as f64), drawn(|one| one.ended as f64));
        let latency = drawn(|one| one.p95.map_or(0.0, |p95| p95.as_secs_f64()));
        let slowest = latency.iter().copied().fold(0.0, f64::max);
        Some(Self {
            events: Sparkline::new("Events", "", &events),
            events_in_all: minutes.iter().map(|one| one.events).sum(),
            ended: Sparkline::new("Tasks that ended", "", &ended),
            latency: Sparkline::new("Time from creation to end", " s", &latency),
            slowest: (slowest > 0.0).then_some(Number(slowest, " s")),
        })
    }
}

pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["swarmId", "done"])?;
    let place = Place::of(&app, &query)?;
    let (postgres, scope) = (&app.services.postgres, place.scope(&visitor));
    let (version, replica) = (&app.services.version, &app.services.replica_id);
    let status = match visitor.may("status", "read") {
        true => Some((app.health().await, version.clone(), replica.clone())),
        false => None,
    };
    let sees = Sees {
        tasks: visitor.may("tasks", "read"),
        agents: visitor.may("agents", "read"),
        letters: visitor.may("dead-letters", "read"),
    };
    let counts = match sees.tasks || sees.agents || sees.letters {
        true => overview::counts(postgres, &scope.tenant_id, &scope.swarm_id).await?,
        false => Counts::default(),
    };
    let hour = match visitor.may("events", "read") {
        true => Hour::of(&overview::last_hour(postgres, &scope.tenant_id, &scope.swarm_id).await?),
        false => None,
    };
    let in_swarms = ["tasks", "runs", "agents", "events"];
    let swarms = match in_swarms.iter().any(|resource| visitor.may(resource, "read")) {
        true => Some(overview::swarms(postgres, &scope.tenant_id, SWARMS).await?),
        false => None,
    };
    let mut frame = Frame::new(&visitor, OVERVIEW, "Overview", place);
    frame.pace = (5, Some(15));
    reply::page(
        &visitor,
        &Page {
            frame,
            at: When(now()),
            status,
            counts,
            sees,
            hour,
            swarms,
        },
    )
}

impl Page {
    /// A number that was counted up to a limit.
    fn number(&self, number: &i64) -> String {
        if *number >= overview::MOST {
            format!("{}+", overview::MOST)
        } else {
            number.to_string()
        }
    }

    fn swarm(&self, swarm: &SwarmId) -> String {
        format!("{}?swarmId={}", frame::ROOT_PATH, super::text::encoded(swarm.as_str()))
    }
}
