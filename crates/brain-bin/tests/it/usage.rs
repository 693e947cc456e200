//! The command line itself: help, exit codes, and what it says when no server answers.

use std::collections::BTreeMap;

use crate::brain_process::run;

#[tokio::test]
async fn the_help_names_every_command_and_the_exit_codes() {
    let ended = run(&BTreeMap::new(), &["--help"]).await;
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.stdout);
}

#[tokio::test]
async fn wrong_usage_ends_with_code_2() {
    for arguments in [
        &["no-such-command"][..],
        &["event", "publish"],
        &["doctor"],
        &["task", "list", "--limit", "0"],
        &["--set", "novalue", "config", "check"],
        &["task", "list", "--server", "not a url"],
        &["event", "tail", "--follow", "--output", "json"],
        &["task", "create", "--file", "x", "--inputs", "{}"],
        &["task", "reassign", "t-1"],
        &["budget", "create"],
    ] {
        assert_eq!(run(&BTreeMap::new(), arguments).await.code, Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_with_the_remedy() {
    // Nothing listens on port 1 of the loopback.
    let ended = run(&BTreeMap::new(), &["task", "list", "--server", "http://127.0.0.1:1"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.is_empty());
    insta::assert_snapshot!(ended.stderr);
}

#[tokio::test]
async fn completions_are_printed_for_a_shell() {
    let ended = run(&BTreeMap::new(), &["completions", "bash"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("dead-letter"), "{}", ended.stdout);
}
