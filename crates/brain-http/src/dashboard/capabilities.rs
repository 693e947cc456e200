//! `/dashboard/capabilities`: what agents may do to the world outside, what the linter finds, and the kill switch.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use brain_swarm::{
    digest::Digest,
    governance::{
        capability::Capability,
        kill_switch::{Reach, Switch},
        lint::{self, Finding},
        proposal::MIN_REASON_CHARS,
    },
};

use super::{
    action,
    form::{Posted, TOKEN},
    frame::{CAPABILITIES, Frame, Place, filled},
    reply,
    session::Visitor,
};
use crate::{
    app::App,
    problem::Problem,
    query::{Query, invalid},
    routes::capabilities::policy,
};

#[derive(Template)]
#[template(path = "capabilities.html")]
struct Page<'a> {
    frame: Frame,
    capabilities: Vec<&'a Capability>,
    findings: Vec<Finding>,
    switches: Vec<(Switch, bool)>,
    version: Digest,
}

impl Page<'_> {
    fn least(&self) -> usize {
        MIN_REASON_CHARS
    }

    fn is_stopped(&self) -> bool {
        self.switches.iter().any(|(switch, _)| switch.enabled)
    }
}

/// A switch as its form names it.
const fn word(reach: &Reach) -> &'static str {
    match reach {
        Reach::Tenant => "tenant",
        Reach::Installation => "installation",
    }
}

/// Everything that is decided by.
pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId", "done"])?)?;
    let governance = &app.services.governance;
    let caller = visitor.caller();
    let manages = visitor.may("capabilities", "manage");
    let switches = governance.kill_switches(&caller.tenant_id).await?;
    let switches = switches.into_iter().map(|switch| {
        let may_turn = manages && (switch.reach == Reach::Tenant || caller.installation);
        (switch, may_turn)
    });
    let page = Page {
        capabilities: governance.policy().capabilities().collect(),
        findings: lint::lint(governance.policy()),
        switches: switches.collect(),
        version: governance.policy().version(),
        frame: Frame::new(&visitor, CAPABILITIES, "Capabilities", place),
    };
    reply::page(&visitor, &page)
}

/// Turns a kill switch.
pub(crate) async fn turn(State(app): State<Arc<App>>, uri: Uri, posted: Posted) -> Result<Response, Problem> {
    let place = Place::of(&app, &Query::parse(uri.query(), &["swarmId"])?)?;
    let fields = posted.fields(&[TOKEN, "reach", "enabled", "reason"])?;
    let reach = match filled(&fields, "reach") {
        Some("tenant") => Reach::Tenant,
        Some("installation") => Reach::Installation,
        _ => return Err(invalid("reach", "it is tenant or installation")),
    };
    let (enabled, done) = match filled(&fields, "enabled") {
        Some("true") => (true, "switch-on"),
        Some("false") => (false, "switch-off"),
        _ => return Err(invalid("enabled", "it is true or false")),
    };
    let reason = action::reason(&fields).unwrap_or_default();
    policy::set_switch(&app, posted.visitor.caller().clone(), (reach, enabled), reason).await?;
    reply::see(&place.with("capabilities", &[("done", done)]))
}
