//! A brain that dies while the receiver has the order: the outcome is unknown, and nothing is sent again.

use std::time::Duration;

use brain_testkit::{eventually, eventually_within};

use super::{propose, receiver::Receiver, refused, start};
use crate::brain_process::{migrated, run};

/// The time limit, the grace, the interval of the sweep, and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_order_in_the_hands_of_the_receiver_becomes_unknown_and_is_not_sent_again() {
    let database = migrated().await;
    let receiver = Receiver::start();
    let config = database.config();
    let mut brain = start(&config, &receiver).await;
    let it = propose(&brain, "mail.slow", "{}").await;
    let (variables, server) = (brain.variables().clone(), brain.url().to_owned());
    let words = ["proposal", "execute", &it, "--server", &server].map(str::to_owned);
    let executing = tokio::spawn(async move { run(&variables, &words.each_ref().map(String::as_str)).await });
    eventually("the receiver has the order", async || receiver.at("/hold").pop()).await;
    brain.kill9().await;
    let ended = executing.await.unwrap();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("is not known here"), "{}", ended.stderr);

    let brain = start(&config, &receiver).await;
    refused(&brain.cli(&["proposal", "execute", &it]).await, "ALREADY_EXECUTED");
    let shown = eventually_within(PATIENCE, "the execution is called unknown", async || {
        let shown = brain.json(&["proposal", "show", &it]).await;
        (shown["executions"][0]["status"] == "unknown").then_some(shown)
    })
    .await;
    assert_eq!(shown["status"], "executed");
    refused(&brain.cli(&["proposal", "execute", &it]).await, "ALREADY_EXECUTED");
    let table = brain.cli(&["proposal", "show", &it]).await.stdout;
    assert!(
        table.contains("unknown") && table.contains("before anything is done again"),
        "{table}"
    );
    assert_eq!(receiver.at("/hold").len(), 1, "it was seen once");
}
