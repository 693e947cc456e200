//! What all pages have around what is theirs: title, navigation, swarm, who looks, live updates.

use std::{fmt::Display, str::FromStr};

use brain_swarm::{calls, ids::SwarmId};

use super::{ROOT, session::Visitor, text};
use crate::{
    app::App,
    problem::Problem,
    query::{Query, invalid},
    routes,
};

/// Where the overview is.
pub(super) const ROOT_PATH: &str = ROOT;

/// The rows of a page of a list.
pub(super) const ROWS: usize = 50;

/// A page of the navigation. [`Frame`] shows those that a visitor may see, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    label: &'static str,
    /// Below the root; empty for the root itself.
    path: &'static str,
    /// What its route needs.
    needs: Option<(&'static str, &'static str)>,
}

pub(super) const OVERVIEW: Section = section("Overview", "", None);
pub(super) const RUNS: Section = section("Runs", "runs", Some(("runs", "read")));
pub(super) const TASKS: Section = section("Tasks", "tasks", Some(("tasks", "read")));
pub(super) const AGENTS: Section = section("Agents", "agents", Some(("agents", "read")));
pub(super) const EVENTS: Section = section("Events", "events", Some(("events", "read")));
pub(super) const DEAD_LETTERS: Section = section("Dead letters", "dead-letters", Some(("dead-letters", "read")));
pub(super) const BUDGETS: Section = section("Budgets", "budgets", Some(("budgets", "read")));
pub(super) const APPROVALS: Section = section("Approvals", "approvals", Some(("capabilities", "read")));
pub(super) const CAPABILITIES: Section = section("Capabilities", "capabilities", Some(("capabilities", "read")));
pub(super) const AUDIT: Section = section("Audit", "audit", Some(("audit", "read")));

const SECTIONS: [Section; 10] = [
    OVERVIEW,
    RUNS,
    TASKS,
    AGENTS,
    EVENTS,
    DEAD_LETTERS,
    BUDGETS,
    APPROVALS,
    CAPABILITIES,
    AUDIT,
];

/// The pages of which no event of a swarm says that something happened: they are looked at again by the clock.
const POLLED: [Section; 4] = [DEAD_LETTERS, APPROVALS, CAPABILITIES, AUDIT];
/// After how many seconds.
const POLL_SECONDS: u32 = 15;

const fn section(label: &'static str, path: &'static str, needs: Option<(&'static str, &'static str)>) -> Section {
    Section { label, path, needs }
}

/// What a page says after an action, by the word in its address.
const DONE: [(&str, &str); 12] = [
    ("proposal-approved", "The proposal was approved."),
    ("proposal-rejected", "The proposal was rejected."),
    ("proposal-reopened", "The proposal waits for a decision again."),
    ("switch-on", "The kill switch is on: nothing is dispatched any more."),
    ("switch-off", "The kill switch is off."),
    ("task-cancelled", "The task was called off."),
    ("task-retried", "The task is tried again."),
    (
        "run-cancelled",
        "The run was called off; its open tasks are being cancelled.",
    ),
    ("letter-replayed", "The dead letter was published."),
    ("letter-dropped", "The dead letter was dropped."),
    ("budget-raised", "The budget was changed."),
    ("budget-stopped", "The budget was stopped."),
];

/// An entry of the navigation.
pub(super) struct Entry {
    pub(super) label: &'static str,
    pub(super) href: String,
    pub(super) is_here: bool,
}

/// What surrounds a page.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
    pub(super) place: Place,
    /// Where the page itself is, without a query.
    pub(super) here: String,
    pub(super) who: String,
    pub(super) logs_out: bool,
    pub(super) form_token: String,
    /// Where live updates come from, for those who may see events.
    pub(super) live: Option<String>,
    /// After how many seconds the page is fetched anew, at least and at most.
    pub(super) pace: (u32, Option<u32>),
    pub(super) done: Option<&'static str>,
}

impl Frame {
    pub(super) fn new(visitor: &Visitor, section: Section, title: impl Into<String>, place: Place) -> Self {
        let caller = visitor.caller();
        let allowed = |section: &&Section| {
            section
                .needs
                .is_none_or(|(resource, action)| visitor.may(resource, action))
        };
        let entries = SECTIONS.iter().filter(allowed).map(|one| Entry {
            label: one.label,
            href: place.to(one.path),
            is_here: *one == section,
        });
        Self {
            title: title.into(),
            entries: entries.collect(),
            here: path_of(section.path),
            who: format!("{} ({}, tenant {})", caller.actor_id, caller.role, caller.tenant_id),
            logs_out: visitor.session().is_some(),
            form_token: visitor.form_token().to_owned(),
            live: visitor.may("events", "read").then(|| place.to("events/live")),
            pace: (1, POLLED.contains(&section).then_some(POLL_SECONDS)),
            done: place.done,
            place,
        }
    }

    /// The page of one thing.
    pub(super) fn link(&self, noun: &str, id: &str) -> String {
        self.place.to(&format!("{noun}/{}", text::encoded(id)))
    }

    /// Where a form about one thing is sent.
    pub(super) fn action(&self, noun: &str, id: &str, verb: &str) -> String {
        self.place.to(&format!("{noun}/{}/{verb}", text::encoded(id)))
    }

    /// A list, narrowed to one value of a filter.
    pub(super) fn list(&self, noun: &str, filter: &str, value: &str) -> String {
        self.place.with(noun, &[(filter, value)])
    }
}

fn path_of(path: &str) -> String {
    if path.is_empty() {
        ROOT.to_owned()
    } else {
        format!("{ROOT}/{path}")
    }
}

/// Where the other pages of a list are, under the same filters.
#[derive(Debug, Default)]
pub(super) struct Pager {
    /// The first one, where this is another.
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

/// The swarm that pages are about.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) swarm: SwarmId,
    /// Whether the address names it; the swarm of the configuration need not be named.
    named: bool,
    done: Option<&'static str>,
}

impl Place {
    /// That of a request. Forms send what was left empty, so an empty name is none.
    pub(super) fn of(app: &App, query: &Query<'_>) -> Result<Self, Problem> {
        let named: Option<SwarmId> = chosen(query, "swarmId")?;
        let word = query.text("done");
        Ok(Self {
            named: named.is_some(),
            swarm: match named {
                Some(swarm) => swarm,
                None => routes::default_swarm(app)?,
            },
            done: DONE
                .iter()
                .find(|(known, _)| Some(*known) == word)
                .map(|(_, says)| *says),
        })
    }

    /// A page about the same swarm.
    pub(super) fn to(&self, path: &str) -> String {
        self.with(path, &[])
    }

    /// The same, with more in the address; what is empty is left out.
    pub(super) fn with(&self, path: &str, more: &[(&str, &str)]) -> String {
        let swarm = self.named.then_some(("swarmId", self.swarm.as_str()));
        let pairs = swarm.iter().chain(more).filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={}", text::encoded(value)))
            .collect();
        let path = path_of(path);
        if pairs.is_empty() {
            path
        } else {
            format!("{path}?{}", pairs.join("&"))
        }
    }

    /// The way on through a list: its filters, the cursor of this page, and that of the next one.
    pub(super) fn pager(
        &self,
        path: &str,
        filters: &[(&str, &str)],
        (here, next): (Option<&str>, Option<String>),
    ) -> Pager {
        let next = next.map(|cursor| self.with(path, &[filters, &[("cursor", &cursor)]].concat()));
        Pager {
            first: here.map(|_| self.with(path, filters)),
            next,
        }
    }

    /// Whose swarm it is.
    pub(super) fn scope(&self, visitor: &Visitor) -> calls::Scope {
        calls::Scope {
            tenant_id: visitor.caller().tenant_id.clone(),
            swarm_id: self.swarm.clone(),
        }
    }

    /// What the form that chooses a swarm shows: the name where there is one.
    pub(super) fn name(&self) -> &str {
        if self.named { self.swarm.as_str() } else { "" }
    }
}

/// A filter that is set to something.
pub(super) fn chosen<T>(query: &Query<'_>, name: &'static str) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    let given = filled(query, name).map(str::parse).transpose();
    given.map_err(|error: T::Err| invalid(name, &error.to_string()))
}

/// The text of a filter that is set to something.
pub(super) fn filled<'a>(query: &'a Query<'_>, name: &str) -> Option<&'a str> {
    query.text(name).filter(|text| !text.is_empty())
}
