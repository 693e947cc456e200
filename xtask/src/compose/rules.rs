//! What a complete compose file must say: the rules of `validate-compose`, pure over a parsed document.
//!
//! The required services must exist and have everything; any other service must stay out of a plain `up` (a profile)
//! and keep to the same rules for images, limits, logs and ports. Each rule names the field and what belongs there.

mod images;
mod mounts;

use super::Problem;
use super::document::{Document, Node};
use images::is_pinned;
use mounts::{Mount, Published};

/// The services Studio Brain cannot do without, in the order of the report.
pub(super) const REQUIRED: [&str; 3] = ["postgres", "redis", "minio"];

/// What is particular to a required service.
struct Requirement {
    /// Words that its health check must contain.
    healthcheck: &'static [&'static str],
    /// Container ports that must be published.
    ports: &'static [&'static str],
    /// Where its image keeps the data, and so where the named volume belongs.
    data: &'static str,
}

fn requirement(service: &str) -> Option<Requirement> {
    Some(match service {
        "postgres" => Requirement {
            healthcheck: &["pg_isready"],
            ports: &["5432"],
            data: "/var/lib/postgresql",
        },
        "redis" => Requirement {
            healthcheck: &["-cli", "ping"],
            ports: &["6379"],
            data: "/data",
        },
        "minio" => Requirement {
            healthcheck: &["/minio/health/live"],
            ports: &["9000", "9001"],
            data: "/data",
        },
        _ => return None,
    })
}

/// Every rule that `document` breaks.
pub(super) fn problems(document: &Document) -> Vec<Problem> {
    let services = document.get("services").map(Node::entries).unwrap_or_default();
    let exists = |name: &str| services.iter().any(|(service, _)| service == name);
    let mut problems: Vec<Problem> = REQUIRED
        .into_iter()
        .filter(|name| !exists(name))
        .map(|name| Problem::new(format!("services.{name}"), "this service is required and missing"))
        .collect();

    let volumes = document.get("volumes").map(Node::entries).unwrap_or_default();
    for (name, node) in services {
        let mut service = Service {
            place: format!("services.{name}"),
            node,
            problems: &mut problems,
        };
        service.image();
        service.limits();
        service.logging();
        service.volumes_are_declared(volumes);
        service.ports_are_safe();
        service.dependencies_exist(&exists);
        match requirement(name) {
            Some(requirement) => service.satisfies(&requirement),
            None if node.get("profiles").is_none() => service.report(
                "profiles",
                "give it a profile; a plain `up` starts the required services only",
            ),
            None => {}
        }
    }
    problems.extend(ports_taken_twice(services));
    problems
}

/// One service under judgement.
struct Service<'a> {
    place: String,
    node: &'a Node,
    problems: &'a mut Vec<Problem>,
}

impl Service<'_> {
    fn report(&mut self, field: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::new(format!("{}.{field}", self.place), message));
    }

    fn image(&mut self) {
        let image = self.node.get("image").and_then(Node::text).unwrap_or_default();
        // An image that is built here has the tag that we give it.
        if self.node.get("build").is_some() {
            return;
        }
        if image.is_empty() {
            self.report("image", "name an image with a version");
        } else if !is_pinned(image) {
            self.report("image", format!("`{image}` floats; pin a full version or a digest"));
        }
    }

    fn limits(&mut self) {
        let limits = self.node.at(&["deploy", "resources", "limits"]);
        let field = |long: &str, short: &str| {
            let value = limits
                .and_then(|limits| limits.get(long))
                .or_else(|| self.node.get(short));
            value.and_then(Node::text).unwrap_or_default().to_owned()
        };
        let (cpus, memory) = (field("cpus", "cpus"), field("memory", "mem_limit"));
        if !cpus.parse::<f64>().is_ok_and(|cpus| cpus > 0.0) {
            self.report("deploy.resources.limits.cpus", "set a limit, such as \"1.0\"");
        }
        if !memory.starts_with(|c: char| c.is_ascii_digit() && c != '0') {
            self.report("deploy.resources.limits.memory", "set a limit, such as 512m");
        }
    }

    fn logging(&mut self) {
        if self.node.at(&["logging", "driver"]).is_none() {
            self.report("logging.driver", "name the driver, such as json-file");
        }
        for option in ["max-size", "max-file"] {
            if self.node.at(&["logging", "options", option]).is_none() {
                self.report(
                    &format!("logging.options.{option}"),
                    "without it the log fills the disk",
                );
            }
        }
    }

    fn volumes_are_declared(&mut self, declared: &[(String, Node)]) {
        for mount in Mount::all(self.node) {
            if mount.is_named && !declared.iter().any(|(name, _)| *name == mount.source) {
                self.report(
                    "volumes",
                    format!("the volume `{}` is not declared below `volumes`", mount.source),
                );
            }
        }
    }

    fn ports_are_safe(&mut self) {
        for port in Published::all(self.node) {
            if !port.is_loopback() {
                self.report(
                    "ports",
                    format!("publish `{port}` on 127.0.0.1; the default credentials are public"),
                );
            }
            if !port.published.parse::<u16>().is_ok_and(|port| port > 0) {
                self.report("ports", format!("`{port}` has no host port from 1 to 65535"));
            }
        }
    }

    fn dependencies_exist(&mut self, exists: &dyn Fn(&str) -> bool) {
        let Some(node) = self.node.get("depends_on") else {
            return;
        };
        let listed = node.items().iter().filter_map(Node::text);
        let mapped = node.entries().iter().map(|(name, _)| name.as_str());
        let unknown: Vec<&str> = listed.chain(mapped).filter(|name| !exists(name)).collect();
        for name in unknown {
            self.report("depends_on", format!("there is no service `{name}`"));
        }
    }

    fn satisfies(&mut self, requirement: &Requirement) {
        self.healthcheck(requirement.healthcheck);
        let published = Published::all(self.node);
        for target in requirement.ports {
            if !published.iter().any(|port| port.target == *target) {
                self.report("ports", format!("publish the container port {target}"));
            }
        }
        let data = requirement.data;
        if !Mount::all(self.node)
            .iter()
            .any(|mount| mount.is_named && mount.target == data)
        {
            self.report(
                "volumes",
                format!("mount a named volume at {data}, where the image keeps its data"),
            );
        }
    }

    fn healthcheck(&mut self, words: &[&str]) {
        let Some(check) = self.node.get("healthcheck") else {
            return self.report("healthcheck", format!("add one that uses {}", words.join(" ")));
        };
        let test = check.get("test").map(Node::command).unwrap_or_default();
        if check.get("disable").and_then(Node::text) == Some("true") || test.starts_with("NONE") {
            return self.report("healthcheck", "must not be disabled");
        }
        if !words.iter().all(|word| test.contains(word)) {
            self.report("healthcheck.test", format!("must use {}", words.join(" ")));
        }
        for field in ["interval", "timeout", "retries"] {
            if check.get(field).is_none() {
                self.report(&format!("healthcheck.{field}"), "set it; the default waits for minutes");
            }
        }
    }
}

/// Host ports that two services publish; only one of them could start.
fn ports_taken_twice(services: &[(String, Node)]) -> Vec<Problem> {
    let mut taken: Vec<(String, &str)> = Vec::new();
    let mut problems = Vec::new();
    for (name, node) in services {
        for port in Published::all(node)
            .into_iter()
            .filter(|port| !port.published.is_empty())
        {
            if let Some((_, other)) = taken.iter().find(|(published, _)| *published == port.published) {
                problems.push(Problem::new(
                    format!("services.{name}.ports"),
                    format!("the host port {} is taken by {other}", port.published),
                ));
            } else {
                taken.push((port.published, name));
            }
        }
    }
    problems
}
