//! The order of tasks that are created together: those that others depend on first.

use std::collections::HashMap;

/// Puts `items` in an order in which each comes after those of `items` that it depends on, otherwise as they were given.
/// `items`: id and the ids it depends on; ids that are not among the items count as done.
///
/// # Errors
/// A circle, as `a -> b -> a`: each task waits for the next.
pub(super) fn order(items: &[(&str, Vec<&str>)]) -> Result<Vec<usize>, String> {
    let place: HashMap<&str, usize> = items.iter().enumerate().map(|(index, (id, _))| (*id, index)).collect();
    let mut state = vec![Mark::Unseen; items.len()];
    let mut order = Vec::with_capacity(items.len());
    for start in 0..items.len() {
        // A walk with a stack of its own: a chain of thousands must not exhaust the thread's.
        let mut path = vec![(start, 0)];
        while let Some((item, next)) = path.last_mut() {
            let item = *item;
            if state[item] == Mark::Done {
                path.pop();
                continue;
            }
            state[item] = Mark::OnPath;
            let Some(on) = items[item].1.get(*next) else {
                state[item] = Mark::Done;
                order.push(item);
                path.pop();
                continue;
            };
            *next += 1;
            let Some(&on) = place.get(on) else { continue };
            match state[on] {
                Mark::Done => {}
                Mark::Unseen => path.push((on, 0)),
                Mark::OnPath => {
                    let from = path.iter().position(|(step, _)| *step == on).unwrap_or(0);
                    let mut names: Vec<&str> = path[from..].iter().map(|(step, _)| items[*step].0).collect();
                    names.push(items[on].0);
                    return Err(shortened(&names));
                }
            }
        }
    }
    Ok(order)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    OnPath,
    Done,
}

/// A circle that people can read.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    if names.len() <= SHOWN {
        return names.join(" -> ");
    }
    let (head, tail) = (&names[..SHOWN / 2], &names[names.len() - SHOWN / 2..]);
    format!(
        "{} -> … {} more … -> {}",
        head.join(" -> "),
        names.len() - SHOWN,
        tail.join(" -> ")
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_circle_is_named() {
        let items = [("x", vec![]), ("a", vec!["b", "x"]), ("b", vec!["c"]), ("c", vec!["a"])];
        assert_eq!(order(&items).unwrap_err(), "a -> b -> c -> a");
        assert_eq!(order(&[("a", vec!["a"])]).unwrap_err(), "a -> a");
        let names: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let ring: Vec<(&str, Vec<&str>)> = (0..100)
            .map(|n| (names[n].as_str(), vec![names[(n + 1) % 100].as_str()]))
            .collect();
        assert!(order(&ring).unwrap_err().contains("… 89 more …"));
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let names: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
        let chain: Vec<(&str, Vec<&str>)> = (0..names.len())
            .map(|n| {
                (
                    names[n].as_str(),
                    names.get(n + 1).map(String::as_str).into_iter().collect(),
                )
            })
            .collect();
        assert_eq!(order(&chain).unwrap().first(), Some(&99_999));
    }

    proptest! {
        #[test]
        fn what_is_depended_on_comes_first(edges in proptest::collection::vec((0..12_usize, 0..12_usize), 0..30)) {
            let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
            let mut items: Vec<(&str, Vec<&str>)> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
            for (from, to) in edges {
                items[from].1.push(&names[to]);
            }
            if let Ok(order) = order(&items) {
                prop_assert_eq!(order.len(), 12);
                let at: HashMap<usize, usize> = order.iter().enumerate().map(|(place, item)| (*item, place)).collect();
                for (item, (_, on)) in items.iter().enumerate() {
                    for on in on {
                        prop_assert!(at[&on.parse::<usize>().unwrap()] < at[&item]);
                    }
                }
            }
        }
    }
}
