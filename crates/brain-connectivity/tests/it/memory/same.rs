//! The same memories, searched with pgvector and without it, give the same results in the same order.

use brain_connectivity::memory::{Hit, NewMemory, Query, VectorMemory};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, json};

use super::Pair;

const WORDS: [&str; 6] = ["database", "refuses", "connections", "at", "night", "staging"];

/// How a vector comes from one of a few others, so that ties and near-ties are the rule.
#[derive(Clone, Debug)]
enum Kin {
    Same,
    Scaled(f32),
    /// One of its numbers a few steps of the last binary digit away.
    Nudged(usize, i32),
    Noisy(u64, f32),
    Opposite,
}

fn kin() -> impl Strategy<Value = Kin> {
    prop_oneof![
        2 => Just(Kin::Same),
        2 => prop::sample::select(vec![0.5f32, 2.0, 3.7, 1e-3, 1e3]).prop_map(Kin::Scaled),
        4 => (0usize..1000, -40i32..40).prop_map(|(at, steps)| Kin::Nudged(at, steps)),
        2 => (any::<u64>(), prop::sample::select(vec![1e-7f32, 1e-4, 0.1, 1.0])).prop_map(|(seed, size)| Kin::Noisy(seed, size)),
        1 => Just(Kin::Opposite),
    ]
}

impl Kin {
    fn of(&self, base: &[f32]) -> Vec<f32> {
        let mut values = base.to_vec();
        match *self {
            Self::Same => {}
            Self::Scaled(factor) => values.iter_mut().for_each(|value| *value *= factor),
            Self::Nudged(at, steps) => {
                let at = at % values.len();
                let bits = values[at].to_bits();
                values[at] = f32::from_bits(bits.saturating_add_signed(if values[at] == 0.0 { 0 } else { steps }));
            }
            Self::Noisy(seed, size) => {
                let mut state = seed;
                for value in &mut values {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    *value += size * ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5);
                }
            }
            Self::Opposite => values.iter_mut().for_each(|value| *value = -*value),
        }
        // Too short a vector is refused.
        if values.iter().all(|value| value.abs() < 1e-6) {
            values[0] = 1.0;
        }
        values
    }
}

#[derive(Clone, Debug)]
struct Given {
    vector: Option<(usize, Kin)>,
    words: Vec<usize>,
    agent: u8,
    run: u8,
    colour: u8,
}

#[derive(Clone, Debug)]
struct Asked {
    vector: Option<(usize, Kin)>,
    words: Vec<usize>,
    agent: Option<u8>,
    run: Option<u8>,
    colour: Option<u8>,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Case {
    bases: Vec<Vec<f32>>,
    given: Vec<Given>,
    asked: Vec<Asked>,
}

fn base(dimensions: usize) -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![
        prop::collection::vec(-1.0f32..1.0, dimensions),
        prop::collection::vec((-2i8..=2).prop_map(f32::from), dimensions),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    // Most are akin to one, so that there are more near-ties than pgvector is asked for at first.
    let vector = || (prop::sample::select(vec![0usize, 0, 0, 0, 1, 2]), kin());
    let words = || prop::collection::vec(0..WORDS.len(), 0..5);
    let given = (prop::option::weighted(0.95, vector()), words(), 0u8..2, 0u8..2, 0u8..3);
    let given = given
        .prop_map(|(vector, words, agent, run, colour)| Given {
            vector,
            words,
            agent,
            run,
            colour,
        })
        .boxed();
    let rarely = |values| prop::option::weighted(0.15, values);
    let asked = (
        prop::option::weighted(0.9, vector()),
        words(),
        rarely(0u8..2),
        rarely(0u8..2),
        rarely(0u8..3),
        1usize..30,
    );
    let asked = asked.prop_map(|(vector, words, agent, run, colour, limit)| {
        // A query needs something to look for.
        let words = if vector.is_none() && words.is_empty() {
            vec![0]
        } else {
            words
        };
        Asked {
            vector,
            words,
            agent,
            run,
            colour,
            limit,
        }
    });
    let asked = asked.boxed();
    prop::sample::select(vec![1usize, 2, 3, 17, 96, 768]).prop_flat_map(move |dimensions| {
        let bases = prop::collection::vec(base(dimensions), 3);
        (
            bases,
            prop::collection::vec(given.clone(), 1..450),
            prop::collection::vec(asked.clone(), 8),
        )
            .prop_map(|(bases, given, asked)| Case { bases, given, asked })
    })
}

fn text(words: &[usize]) -> String {
    words.iter().map(|word| WORDS[*word]).collect::<Vec<_>>().join(" ")
}

impl Case {
    fn vector(&self, (base, kin): &(usize, Kin)) -> Vec<f32> {
        kin.of(&self.bases[*base])
    }

    fn memories(&self) -> Vec<NewMemory> {
        let memory = |(number, given): (usize, &Given)| NewMemory {
            // Not in the order in which they are stored.
            memory_id: format!("m{:03}", (number * 89) % 997),
            agent_id: format!("agent-{}", given.agent),
            run_id: format!("run-{}", given.run),
            content: text(&given.words),
            metadata: Map::from_iter([("facts".to_owned(), json!({ "colour": given.colour, "number": number }))]),
            embedding: given.vector.as_ref().map(|vector| self.vector(vector)),
        };
        self.given.iter().enumerate().map(memory).collect()
    }

    fn queries(&self, tenant: &str) -> Vec<Query> {
        let query = |asked: &Asked| Query {
            tenant: tenant.to_owned(),
            text: (!asked.words.is_empty()).then(|| text(&asked.words)),
            embedding: asked.vector.as_ref().map(|vector| self.vector(vector)),
            agent: asked.agent.map(|agent| format!("agent-{agent}")),
            run: asked.run.map(|run| format!("run-{run}")),
            metadata: asked
                .colour
                .map(|colour| ("facts".to_owned(), json!({ "colour": colour })))
                .into_iter()
                .collect(),
            limit: asked.limit,
        };
        self.asked.iter().map(query).collect()
    }
}

type Found = Vec<(String, f64, Option<f64>, Option<f64>)>;

fn found(hits: Vec<Hit>) -> Found {
    hits.into_iter()
        .map(|hit| (hit.memory.memory_id, hit.score, hit.similarity, hit.text_rank))
        .collect()
}

async fn search(memory: &VectorMemory, query: &Query) -> Found {
    found(memory.search(query).await.unwrap())
}

/// The highest similarities, computed here from what was given.
fn highest(memories: &[NewMemory], query: &Query, wanted: &[f32]) -> Vec<f64> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let fits = |memory: &&NewMemory| {
        query.agent.as_ref().is_none_or(|agent| *agent == memory.agent_id)
            && query.run.as_ref().is_none_or(|run| *run == memory.run_id)
            && query
                .metadata
                .get("facts")
                .is_none_or(|facts| facts["colour"] == memory.metadata["facts"]["colour"])
    };
    let similarity =
        |values: &Vec<f32>| product(values, wanted) / (product(values, values) * product(wanted, wanted)).sqrt();
    let mut all: Vec<f64> = memories
        .iter()
        .filter(fits)
        .filter_map(|memory| memory.embedding.as_ref().map(similarity))
        .collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.truncate(query.limit);
    all
}

#[test]
fn random_memories_are_found_in_the_same_order() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pair = runtime.block_on(Pair::start());
    let mut runner = TestRunner::new(Config {
        cases: 40,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&case(), |case| {
        // Each case has a tenant of its own, so that all share one database.
        let tenant = brain_testkit::unique("tenant");
        let (memories, dimensions) = (case.memories(), case.bases[0].len());
        let [with, without] = pair.memories(dimensions);
        runtime.block_on(async {
            with.upsert(&tenant, &memories).await.unwrap();
            // The order of storing must not matter.
            let reversed: Vec<_> = memories.iter().rev().cloned().collect();
            without.upsert(&tenant, &reversed).await.unwrap();
            for query in case.queries(&tenant) {
                let (a, b) = (search(&with, &query).await, search(&without, &query).await);
                prop_assert_eq!(&a, &b, "{:?}", query);
                if let (Some(wanted), None) = (&query.embedding, &query.text) {
                    let expected = highest(&memories, &query, wanted);
                    prop_assert_eq!(a.len(), expected.len());
                    for ((_, score, _, _), expected) in a.iter().zip(&expected) {
                        prop_assert!((score - expected).abs() < 1e-12, "{score} instead of {expected}");
                    }
                }
            }
            Ok(())
        })
    });
    runtime.block_on(async { drop(pair) });
    outcome.unwrap();
}

/// More equal candidates than are asked for at first: the second way of pgvector's search has to find the right ones.
#[tokio::test]
async fn hundreds_of_equal_and_nearly_equal_memories_keep_the_order() {
    let pair = Pair::start().await;
    let [with, without] = pair.memories(3);
    let mut memories = Vec::new();
    for number in 0..400 {
        // All point the same way, to the last digits of single precision.
        let nudge = f32::from_bits(1.0f32.to_bits() + number % 5);
        memories.push(super::remembered(
            &format!("m{:03}", 399 - number),
            "",
            Some(&[1.0, nudge, 0.5]),
        ));
    }
    for memory in [&with, &without] {
        memory.upsert("default", &memories).await.unwrap();
    }
    for limit in [1, 10, 100, 335, 336, 337, 399, 400, 500] {
        let query = Query {
            limit,
            ..super::near(&[1.0, 1.0, 0.5])
        };
        let (a, b) = (
            with.search(&query).await.unwrap(),
            without.search(&query).await.unwrap(),
        );
        assert_eq!(a.len(), limit.min(400));
        assert_eq!(found(a.clone()), found(b));
        let exact: Vec<_> = a.iter().take_while(|hit| hit.similarity == Some(1.0)).collect();
        assert!(
            exact.iter().is_sorted_by_key(|hit| &hit.memory.memory_id),
            "equal ones are ordered by id"
        );
    }
}
