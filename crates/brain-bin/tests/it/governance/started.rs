//! A capabilities file that cannot be used: said at once, in full, before anything is begun.

use brain_testkit::scratch_dir;

use crate::brain_process::run;

const BAD: &str = r#"
[[capability]]
id = "mail.send"
target = ""
executor = { type = "webhook", url = "ftp://mail.example.org" }

[[capability]]
id = "mail.read"
target = "mail"
executor = { type = "webhook", url = "https://mail.example.org/#part" }

[[intake]]
id = "secrets"
pattern = "("
reason = "It may give a secret away."
"#;

#[tokio::test]
async fn a_bad_file_ends_the_start_with_everything_that_is_wrong() {
    let file = scratch_dir().join("bad.toml");
    std::fs::write(&file, BAD).unwrap();
    let name = file.display().to_string();
    let variables = [("STUDIO_BRAIN_CAPABILITIES_FILE".to_owned(), name.clone())].into();
    let served = run(&variables, &["serve"]).await;
    assert_eq!(served.code, Some(2), "{}", served.stderr);
    insta::assert_snapshot!("bad_file", served.stderr.replace(&name, "[file]"));

    let checked = run(&[].into(), &["capability", "check", &name]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    assert!(checked.stdout.starts_with("NOT USABLE:"), "{}", checked.stdout);
    let missing = run(&[].into(), &["capability", "check", "nowhere.toml"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("cannot read nowhere.toml"),
        "{}",
        missing.stderr
    );
}

#[tokio::test]
async fn findings_are_warnings_unless_they_are_to_be_strict_about() {
    let file = scratch_dir().join("capabilities.toml");
    let text = "[[capability]]\nid = \"a\"\ntarget = \"t\"\nowner = \"o\"\nexecutor = { type = \"webhook\", url = \"https://x.example\" }\n";
    std::fs::write(&file, text).unwrap();
    let name = file.display().to_string();
    let checked = run(&[].into(), &["capability", "check", &name]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    insta::assert_snapshot!("findings", checked.stdout);
    let strict = run(
        &[].into(),
        &["capability", "check", &name, "--strict", "--output", "json"],
    )
    .await;
    assert_eq!(strict.code, Some(1));
    let strict: serde_json::Value = serde_json::from_str(&strict.stdout).unwrap();
    assert_eq!(
        (&strict["ok"], strict["findings"].as_array().unwrap().len()),
        (&false.into(), 3)
    );
}
