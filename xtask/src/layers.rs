//! The layer check: dependencies between the crates of the workspace run one way.
//!
//! `config <- connectivity <- {swarm, skills} <- http <- bin`. A crate may use any crate below it and none beside or
//! above it, so swarm and skills do not know each other. The development crates serve tests, examples and xtask and
//! never reach the product. The rule is the pure function [`violations`] over plain edges; reading the edges from
//! `cargo metadata` is a separate step. A crate this file does not know is an error, not an exception.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::workspace::root;

/// Arguments of `cargo xtask layers`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// Checks the workspace that xtask belongs to and prints what it found.
pub(crate) fn run(_args: Args) -> anyhow::Result<()> {
    println!("{}", check()?);
    Ok(())
}

/// Checks the workspace that xtask belongs to; the answer is one line for the report.
pub(crate) fn check() -> anyhow::Result<String> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read `cargo metadata`; is Cargo.toml valid?")?;
    let workspace = Workspace::read(&metadata);
    let violations = violations(&workspace);
    if violations.is_empty() {
        return Ok(format!(
            "{} crates, {} edges, all allowed",
            workspace.crates.len(),
            workspace.edges.len()
        ));
    }
    let list: Vec<String> = violations.iter().map(|v| format!("  {v}")).collect();
    bail!(
        "{} dependency edges are not allowed (config <- connectivity <- {{swarm, skills}} <- http <- bin):\n{}",
        violations.len(),
        list.join("\n")
    )
}

/// The crates of the workspace and the dependency edges between them.
#[derive(Debug)]
struct Workspace {
    crates: BTreeSet<String>,
    edges: Vec<Edge>,
}

/// One dependency of one workspace crate on another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    kind: Kind,
}

/// What a dependency is used for, as Cargo tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[dependencies]`: part of what ships.
    Normal,
    /// `[dev-dependencies]`: tests, examples and benches.
    Development,
    /// `[build-dependencies]`: runs while building what ships.
    Build,
}

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Part of the product; the number is its layer, counted from the bottom.
    Product(u8),
    /// Starts development services; knows no other crate of the workspace.
    DevelopmentServices,
    /// Support for tests; may use the development services and the configuration.
    TestSupport,
    /// The automation; may use everything.
    Automation,
}

fn place(name: &str) -> Option<Place> {
    Some(match name {
        "brain-config" => Place::Product(0),
        "brain-connectivity" => Place::Product(1),
        "brain-swarm" | "brain-skills" => Place::Product(2),
        "brain-http" => Place::Product(3),
        "brain-bin" => Place::Product(4),
        "brain-devstack" => Place::DevelopmentServices,
        "brain-testkit" => Place::TestSupport,
        "xtask" => Place::Automation,
        _ => return None,
    })
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Violation {
    /// A crate without a place; its edges are not judged until it has one.
    UnknownCrate(String),
    /// An edge against the direction of the layers.
    Edge(Edge, &'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCrate(name) => {
                write!(f, "{name} has no layer: give it one in `place` of xtask/src/layers.rs")
            }
            Self::Edge(Edge { from, to, kind }, reason) => {
                let section = match kind {
                    Kind::Normal => "[dependencies]",
                    Kind::Development => "[dev-dependencies]",
                    Kind::Build => "[build-dependencies]",
                };
                write!(f, "{from} -> {to} in {section}: {reason}")
            }
        }
    }
}

/// Every crate without a place, then every edge that breaks the rule, in the order of the edges.
fn violations(workspace: &Workspace) -> Vec<Violation> {
    let unknown = workspace
        .crates
        .iter()
        .filter(|name| place(name).is_none())
        .map(|name| Violation::UnknownCrate(name.clone()));
    let wrong = workspace.edges.iter().filter_map(|edge| {
        let (from, to) = (place(&edge.from)?, place(&edge.to)?);
        refusal(from, to, edge.kind).map(|reason| Violation::Edge(edge.clone(), reason))
    });
    unknown.chain(wrong).collect()
}

/// The reason why `from` may not depend on `to`, or `None` where it may.
fn refusal(from: Place, to: Place, kind: Kind) -> Option<&'static str> {
    use Place::{Automation, DevelopmentServices, Product, TestSupport};
    match (from, to) {
        (Automation, _) => None,
        (_, Automation) => Some("nothing depends on xtask"),
        (Product(upper), Product(lower)) if lower < upper => None,
        (Product(left), Product(right)) if left == right => Some("crates of one layer do not know each other"),
        (Product(_), Product(_)) => Some("a lower crate may not use a higher one"),
        (Product(_), DevelopmentServices | TestSupport) if kind == Kind::Development => None,
        (Product(_), DevelopmentServices | TestSupport) => Some("development crates are dev-dependencies only"),
        (TestSupport, DevelopmentServices | Product(0)) => None,
        (TestSupport, _) => Some("test support uses the development services and brain-config only"),
        (DevelopmentServices, _) => Some("the development services know no other crate of the workspace"),
    }
}

impl Workspace {
    fn read(metadata: &Metadata) -> Self {
        let crates: BTreeSet<String> = metadata
            .workspace_packages()
            .iter()
            .map(|package| package.name.to_string())
            .collect();
        let edges = metadata
            .workspace_packages()
            .iter()
            .flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)))
            // A path, because a registry crate may carry the name of one of ours.
            .filter(|(_, dependency)| dependency.path.is_some() && crates.contains(&dependency.name))
            .map(|(package, dependency)| Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                kind: match dependency.kind {
                    DependencyKind::Development => Kind::Development,
                    DependencyKind::Build => Kind::Build,
                    _ => Kind::Normal,
                },
            })
            .collect();
        Self { crates, edges }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn judge(from: &str, to: &str, kind: Kind) -> Vec<String> {
        let workspace = Workspace {
            crates: [from.to_owned(), to.to_owned()].into(),
            edges: vec![Edge {
                from: from.into(),
                to: to.into(),
                kind,
            }],
        };
        violations(&workspace).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_higher_crate_may_use_any_lower_one() {
        for (from, to) in [
            ("brain-connectivity", "brain-config"),
            ("brain-swarm", "brain-connectivity"),
            ("brain-skills", "brain-config"),
            ("brain-http", "brain-swarm"),
            ("brain-bin", "brain-http"),
            ("brain-bin", "brain-config"),
            ("xtask", "brain-devstack"),
            ("brain-testkit", "brain-devstack"),
            ("brain-testkit", "brain-config"),
        ] {
            assert_eq!(judge(from, to, Kind::Normal), Vec::<String>::new(), "{from} -> {to}");
        }
    }

    #[test]
    fn an_edge_against_the_layers_is_refused() {
        insta::assert_snapshot!(
            judge("brain-config", "brain-connectivity", Kind::Normal).join("\n"),
            @"brain-config -> brain-connectivity in [dependencies]: a lower crate may not use a higher one"
        );
        for (from, to) in [
            ("brain-connectivity", "brain-swarm"),
            ("brain-swarm", "brain-http"),
            ("brain-http", "brain-bin"),
            ("brain-devstack", "brain-config"),
            ("brain-testkit", "brain-connectivity"),
            ("brain-bin", "xtask"),
        ] {
            for kind in [Kind::Normal, Kind::Development, Kind::Build] {
                assert_eq!(judge(from, to, kind).len(), 1, "{from} -> {to} as {kind:?}");
            }
        }
    }

    #[test]
    fn swarm_and_skills_do_not_know_each_other_even_in_tests() {
        insta::assert_snapshot!(
            judge("brain-swarm", "brain-skills", Kind::Development).join("\n"),
            @"brain-swarm -> brain-skills in [dev-dependencies]: crates of one layer do not know each other"
        );
        assert_eq!(judge("brain-skills", "brain-swarm", Kind::Normal).len(), 1);
    }

    #[test]
    fn development_crates_reach_the_product_as_dev_dependencies_only() {
        for development in ["brain-testkit", "brain-devstack"] {
            assert_eq!(
                judge("brain-http", development, Kind::Development),
                Vec::<String>::new()
            );
            for kind in [Kind::Normal, Kind::Build] {
                assert_eq!(
                    judge("brain-http", development, kind).len(),
                    1,
                    "{development} as {kind:?} would ship with the product"
                );
            }
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        insta::assert_snapshot!(
            judge("brain-new", "brain-config", Kind::Normal).join("\n"),
            @"brain-new has no layer: give it one in `place` of xtask/src/layers.rs"
        );
    }

    #[test]
    fn the_real_workspace_passes() {
        let metadata = MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .no_deps()
            .exec()
            .unwrap();
        let workspace = Workspace::read(&metadata);
        // Reading nothing would pass too, so the edges that must exist are asked for.
        assert!(workspace.edges.contains(&Edge {
            from: "brain-http".into(),
            to: "brain-swarm".into(),
            kind: Kind::Normal
        }));
        assert!(
            workspace
                .edges
                .iter()
                .any(|edge| edge.kind == Kind::Development && edge.to == "brain-testkit")
        );
        assert_eq!(violations(&workspace), Vec::new());
    }
}
