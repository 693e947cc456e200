//! What is said of one operation, and what of it follows from the route table.
//!
//! Invariant: what every operation can give is added here and nowhere else, from what it needs of its caller, its path and
//! whether it has a body.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use brain_swarm::{event::EventType, ids};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{problems, types::Types};
use crate::{access::Role, problem::Kind, query, routes::Need};

/// One operation of the document, while it is described.
pub(super) struct Operation<'a> {
    types: &'a mut Types,
    id: &'static str,
    summary: &'static str,
    text: String,
    rules: Vec<&'static str>,
    parameters: Vec<Value>,
    bodies: Map<String, Value>,
    body_may_be_missing: bool,
    answers: BTreeMap<u16, Value>,
    problems: BTreeSet<Kind>,
    limits: Map<String, Value>,
}

impl<'a> Operation<'a> {
    pub(super) fn new(types: &'a mut Types) -> Self {
        Self {
            types,
            id: "",
            summary: "",
            text: String::new(),
            rules: Vec::new(),
            parameters: Vec::new(),
            bodies: Map::new(),
            body_may_be_missing: false,
            answers: BTreeMap::new(),
            problems: BTreeSet::new(),
            limits: Map::new(),
        }
    }

    /// The name by which generated clients call it, and what it does in a few words.
    pub(super) fn named(mut self, id: &'static str, summary: &'static str) -> Self {
        (self.id, self.summary) = (id, summary);
        self
    }

    /// What is worth knowing of it.
    pub(super) fn says(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// What holds for its callers beyond their role and scopes.
    pub(super) fn rule(mut self, rule: &'static str) -> Self {
        self.rules.push(rule);
        self.problems.insert(Kind::Forbidden);
        self
    }

    /// What varies in the path. The example is an id that a client could have chosen.
    pub(super) fn path<T: JsonSchema>(mut self, name: &'static str, example: &'static str) -> Self {
        let schema = self.types.read::<T>();
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": schema, "example": example,
        }));
        self
    }

    /// A query parameter.
    pub(super) fn query<T: JsonSchema>(self, name: &'static str, what: &'static str) -> Self {
        let schema = self.types.read::<T>();
        self.query_as(name, what, schema)
    }

    /// A query parameter with a schema of its own.
    pub(super) fn query_as(mut self, name: &'static str, what: &'static str, schema: Value) -> Self {
        self.parameters
            .push(json!({ "name": name, "in": "query", "description": what, "schema": schema }));
        self
    }

    /// The parameter that names a swarm.
    pub(super) fn swarm(self) -> Self {
        self.query::<ids::SwarmId>("swarmId", "Which swarm; the configured one where it is left out.")
    }

    /// The parameter that names a type of events.
    pub(super) fn event_type(self) -> Self {
        let known = EventType::KNOWN.map(|kind| kind.to_string());
        let schema = json!({
            "type": "string", "maxLength": ids::MAX_ID_BYTES, "pattern": r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$",
            "examples": known,
        });
        self.query_as("type", "Only events of this type.", schema)
    }

    /// The parameters of a list that is read page by page.
    pub(super) fn paged(mut self) -> Self {
        self.problems.insert(Kind::InvalidCursor);
        self.query_as(
            "cursor",
            "The `nextCursor` of the page before. It belongs to the other parameters of that request.",
            json!({ "type": "string" }),
        )
        .limited()
    }

    /// The parameter that bounds a list.
    pub(super) fn limited(self) -> Self {
        let (least, most, default) = (1, query::MAX_LIMIT, query::DEFAULT_LIMIT);
        self.query_as(
            "limit",
            "How many items the page has at most.",
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default }),
        )
    }

    /// The parameter after which number a list goes on.
    pub(super) fn after(self, what: &'static str) -> Self {
        self.query_as(
            "after",
            what,
            json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
        )
    }

    /// A header that it reads.
    pub(super) fn header(mut self, name: &'static str, what: &'static str, schema: Value) -> Self {
        self.parameters
            .push(json!({ "name": name, "in": "header", "description": what, "schema": schema }));
        self
    }

    /// A body in JSON.
    pub(super) fn body<T: JsonSchema>(mut self) -> Self {
        let schema = self.types.read::<T>();
        self.problems.insert(Kind::InvalidRequest);
        self.body_as("application/json", schema)
    }

    /// A body in JSON that may be left out, as everything in it may.
    pub(super) fn body_if_any<T: JsonSchema>(self) -> Self {
        self.body_is_optional().body::<T>()
    }

    /// A body of this media type.
    pub(super) fn body_as(mut self, media_type: &'static str, schema: Value) -> Self {
        self.bodies.insert(media_type.to_owned(), json!({ "schema": schema }));
        self
    }

    /// An example of the body in JSON.
    pub(super) fn example(mut self, example: Value) -> Self {
        if let Some(body) = self.bodies.get_mut("application/json") {
            body["example"] = example;
        }
        self
    }

    /// The body may be left out.
    pub(super) fn body_is_optional(mut self) -> Self {
        self.body_may_be_missing = true;
        self
    }

    /// The schema of a type, for an answer that is put together.
    pub(super) fn written<T: JsonSchema>(&mut self) -> Value {
        self.types.written::<T>()
    }

    /// The schema of a type, for a body that is put together.
    pub(super) fn schema_of<T: JsonSchema>(&mut self) -> Value {
        self.types.read::<T>()
    }

    /// A good answer in JSON.
    pub(super) fn gives<T: JsonSchema>(self, status: u16, what: &'static str) -> Self {
        let schema = self.types.written::<T>();
        self.gives_as(status, what, "application/json", schema)
    }

    /// A good answer of this media type.
    pub(super) fn gives_as(mut self, status: u16, what: &'static str, media_type: &'static str, schema: Value) -> Self {
        let answer = self.answer(status, what);
        answer["content"][media_type] = json!({ "schema": schema });
        self
    }

    /// A good answer that is a stream of server-sent events. OpenAPI 3.1 has no word for one message of it.
    pub(super) fn gives_stream(mut self, status: u16, what: &'static str, message: Value) -> Self {
        self.answer(status, what)["content"]["text/event-stream"] = json!({ "x-message-schema": message });
        self
    }

    /// A good answer without a body.
    pub(super) fn gives_nothing(mut self, status: u16, what: &'static str) -> Self {
        self.answer(status, what);
        self
    }

    /// A header of an answer.
    pub(super) fn with_header(mut self, status: u16, name: &'static str, what: &'static str, schema: Value) -> Self {
        self.answer(status, "")["headers"][name] = json!({ "description": what, "schema": schema });
        self
    }

    /// Where to go on from an answer: the operation, its parameter, and where in the answer its value is.
    pub(super) fn leads_to(
        mut self,
        status: u16,
        to: &'static str,
        parameter: &'static str,
        value: &'static str,
    ) -> Self {
        let value = format!("$response.body#{value}");
        self.answer(status, "")["links"][to] = json!({ "operationId": to, "parameters": { parameter: value } });
        self
    }

    fn answer(&mut self, status: u16, what: &'static str) -> &mut Value {
        self.answers
            .entry(status)
            .or_insert_with(|| json!({ "description": what, "headers": problems::identifying_headers() }))
    }

    /// Problems beyond those that follow from the table.
    pub(super) fn problems(mut self, kinds: &[Kind]) -> Self {
        self.problems.extend(kinds);
        self
    }

    /// It stores something in the log of events.
    pub(super) fn stores(self) -> Self {
        self.problems(&[
            Kind::Refused,
            Kind::EventTooLarge,
            Kind::InvalidRequest,
            Kind::Rejected,
            Kind::Overloaded,
        ])
    }

    /// A bound, and the setting or the number that it is.
    pub(super) fn limit(mut self, name: &'static str, most: impl Into<Value>) -> Self {
        self.limits.insert(name.to_owned(), most.into());
        self
    }

    /// One thing in JSON, with an entity tag.
    pub(super) fn gives_thing<T: JsonSchema>(self, what: &'static str) -> Self {
        self.gives::<T>(200, what)
            .with_header(
                200,
                "etag",
                "Tells this state of the thing from others.",
                json!({ "type": "string" }),
            )
            .header(
                "If-None-Match",
                "Entity tags that the caller has; the answer is 304 while one of them is right.",
                json!({ "type": "string", "examples": ["\"0123456789abcdef01234567\""] }),
            )
            .gives_nothing(304, "The caller has this state already.")
    }

    /// The operation as the document has it, with the problems that it refers to.
    pub(super) fn finish(
        mut self,
        tag: &str,
        (method, need, keeps_answer): (&Method, Need, bool),
        answers: &mut problems::Answers,
    ) -> Value {
        self.follow_from(need);
        if !method.is_safe() {
            self.may_be_sent_again(keeps_answer);
        }
        let has_body = !self.bodies.is_empty();
        let mut responses: Map<String, Value> = Map::new();
        for (status, answer) in self.answers {
            responses.insert(status.to_string(), answer);
        }
        for (status, kinds) in problems::by_status(&self.problems) {
            match responses.get_mut(&status.to_string()) {
                // A health report has the status of a problem.
                Some(report) => {
                    report["content"]["application/problem+json"] =
                        json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
                }
                None => {
                    responses.insert(status.to_string(), answers.refer(&kinds));
                }
            }
        }
        let mut operation = json!({
            "operationId": self.id, "tags": [tag], "summary": self.summary, "responses": responses,
        });
        let set = |operation: &mut Value, name: &str, value: Value| {
            operation[name] = value;
        };
        if !self.text.is_empty() {
            set(&mut operation, "description", self.text.into());
        }
        if !self.parameters.is_empty() {
            set(&mut operation, "parameters", self.parameters.into());
        }
        if has_body {
            let body = json!({ "required": !self.body_may_be_missing, "content": self.bodies });
            set(&mut operation, "requestBody", body);
        }
        match need {
            Need::Nothing => set(&mut operation, "security", json!([])),
            Need::Caller | Need::Visitor => set(&mut operation, "x-required-role", Role::Viewer.as_str().into()),
            Need::Scope(resource, action) | Need::Session(resource, action) => {
                set(
                    &mut operation,
                    "x-required-role",
                    Role::least(resource, action).as_str().into(),
                );
                set(
                    &mut operation,
                    "x-required-scope",
                    format!("{resource}:{action}").into(),
                );
            }
        }
        if !self.rules.is_empty() {
            set(&mut operation, "x-authorization", self.rules.into());
        }
        if !self.limits.is_empty() {
            set(&mut operation, "x-limits", self.limits.into());
        }
        operation
    }

    /// What holds for every change; the answer of some is not kept, because it holds a secret.
    fn may_be_sent_again(&mut self, keeps_answer: bool) {
        self.problems.insert(Kind::ForbiddenOrigin);
        if !keeps_answer {
            return;
        }
        self.parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "Makes it safe to send the request again: for 24 hours the same caller, key and request give the same answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" },
        }));
        self.problems
            .extend([Kind::InProgress, Kind::KeyReused, Kind::BodyTimeout, Kind::BodyTooLarge]);
        for (status, answer) in &mut self.answers {
            if (200..300).contains(status) {
                answer["headers"]["idempotency-replayed"] = json!({
                    "description": "The answer is the one that was given before to this Idempotency-Key.",
                    "schema": { "type": "string", "enum": ["true"] },
                });
            }
        }
    }

    fn follow_from(&mut self, need: Need) {
        self.problems.extend([
            Kind::MalformedRequest,
            Kind::InvalidParameter,
            Kind::ForbiddenHost,
            Kind::UriTooLong,
            Kind::HeadersTooLarge,
            Kind::Internal,
            Kind::Timeout,
        ]);
        if need != Need::Nothing {
            self.problems.extend([
                Kind::Unauthorized,
                // A token of an issuer may give no role here.
                Kind::Forbidden,
                Kind::RateLimited,
                Kind::Overloaded,
                Kind::Unavailable,
            ]);
        }
        if self.parameters.iter().any(|parameter| parameter["in"] == "path") {
            self.problems.insert(Kind::NotFound);
        }
        if !self.bodies.is_empty() {
            self.problems.extend([
                Kind::MalformedJson,
                Kind::BodyTimeout,
                Kind::BodyTooLarge,
                Kind::ForbiddenOrigin,
            ]);
            self.limits.insert(
                "bodyBytes".to_owned(),
                "STUDIO_BRAIN_HTTP_MAX_BODY_BYTES, or less where the token says so".into(),
            );
        }
    }
}
