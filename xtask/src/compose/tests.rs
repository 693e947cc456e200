//! Whole documents through the whole check: the real file passes, and each way to break it is named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::validate;

const REAL: &str = include_str!("../../../compose/compose.yaml");

/// The real file with one piece of text replaced; a replacement that replaces nothing would test nothing.
#[track_caller]
fn broken(from: &str, to: &str) -> String {
    assert!(REAL.contains(from), "compose.yaml no longer contains {from:?}");
    REAL.replacen(from, to, 1)
}

fn report(text: &str) -> String {
    report_with(text, &|_| None)
}

fn report_with(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    validate(text, variable)
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_real_file_passes() {
    assert_eq!(report(REAL), "");
}

#[test]
fn missing_services_are_named_together() {
    let text = REAL
        .replace("\n  postgres:\n", "\n  database:\n")
        .replace("\n  minio:\n", "\n  storage:\n");
    insta::assert_snapshot!(report(&text), @r"
    services.postgres: this service is required and missing
    services.minio: this service is required and missing
    services.database.profiles: give it a profile; a plain `up` starts the required services only
    services.storage.profiles: give it a profile; a plain `up` starts the required services only
    services.brain.depends_on: there is no service `postgres`
    services.brain.depends_on: there is no service `minio`
    ");
}

#[test]
fn an_empty_service_lacks_everything() {
    insta::assert_snapshot!(report("services:\n  postgres: {}\n  redis: {}\n  minio: {}\n"), @r#"
    services.postgres.image: name an image with a version
    services.postgres.deploy.resources.limits.cpus: set a limit, such as "1.0"
    services.postgres.deploy.resources.limits.memory: set a limit, such as 512m
    services.postgres.logging.driver: name the driver, such as json-file
    services.postgres.logging.options.max-size: without it the log fills the disk
    services.postgres.logging.options.max-file: without it the log fills the disk
    services.postgres.healthcheck: add one that uses pg_isready
    services.postgres.ports: publish the container port 5432
    services.postgres.volumes: mount a named volume at /var/lib/postgresql, where the image keeps its data
    services.redis.image: name an image with a version
    services.redis.deploy.resources.limits.cpus: set a limit, such as "1.0"
    services.redis.deploy.resources.limits.memory: set a limit, such as 512m
    services.redis.logging.driver: name the driver, such as json-file
    services.redis.logging.options.max-size: without it the log fills the disk
    services.redis.logging.options.max-file: without it the log fills the disk
    services.redis.healthcheck: add one that uses -cli ping
    services.redis.ports: publish the container port 6379
    services.redis.volumes: mount a named volume at /data, where the image keeps its data
    services.minio.image: name an image with a version
    services.minio.deploy.resources.limits.cpus: set a limit, such as "1.0"
    services.minio.deploy.resources.limits.memory: set a limit, such as 512m
    services.minio.logging.driver: name the driver, such as json-file
    services.minio.logging.options.max-size: without it the log fills the disk
    services.minio.logging.options.max-file: without it the log fills the disk
    services.minio.healthcheck: add one that uses /minio/health/live
    services.minio.ports: publish the container port 9000
    services.minio.ports: publish the container port 9001
    services.minio.volumes: mount a named volume at /data, where the image keeps its data
    "#);
}

#[test]
fn a_missing_health_check_is_named() {
    let text = broken(
        "    healthcheck:\n      # Over TCP",
        "    x-healthcheck:\n      # Over TCP",
    );
    insta::assert_snapshot!(report(&text), @"services.postgres.healthcheck: add one that uses pg_isready");
}

#[test]
fn a_health_check_that_checks_something_else_is_named() {
    let text = broken("GET /minio/health/live HTTP", "GET / HTTP");
    insta::assert_snapshot!(report(&text), @"services.minio.healthcheck.test: must use /minio/health/live");
    let text = broken("      interval: 5s\n", "");
    insta::assert_snapshot!(report(&text), @"services.postgres.healthcheck.interval: set it; the default waits for minutes");
    let text = broken("      interval: 5s\n", "      interval: 5s\n      disable: true\n");
    insta::assert_snapshot!(report(&text), @"services.postgres.healthcheck: must not be disabled");
}

#[test]
fn an_unpinned_image_is_named() {
    let text = broken("valkey/valkey:9.1.2-alpine", "valkey/valkey:latest");
    insta::assert_snapshot!(report(&text), @"services.redis.image: `valkey/valkey:latest` floats; pin a full version or a digest");
}

#[test]
fn the_old_data_directory_of_postgres_is_named() {
    let text = broken(
        "postgres-data:/var/lib/postgresql",
        "postgres-data:/var/lib/postgresql/data",
    );
    insta::assert_snapshot!(report(&text), @"services.postgres.volumes: mount a named volume at /var/lib/postgresql, where the image keeps its data");
    let text = broken("\nvolumes:\n  postgres-data:\n", "\nvolumes:\n");
    insta::assert_snapshot!(report(&text), @"services.postgres.volumes: the volume `postgres-data` is not declared below `volumes`");
}

#[test]
fn a_missing_variable_is_named_with_its_field() {
    let text = broken("${PGPASSWORD:-postgres}", "${PGPASSWORD:?set it in .env}");
    insta::assert_snapshot!(report(&text), @"services.postgres.environment.POSTGRES_PASSWORD: the variable PGPASSWORD is required: set it in .env");
    let text = broken("${REDIS_PORT:-6379}", "${REDIS_PORT}");
    insta::assert_snapshot!(report(&text), @r"
    services.redis.ports[0]: the variable REDIS_PORT is not set and has no default
    services.redis.ports: `127.0.0.1:${REDIS_PORT}:6379` has no host port from 1 to 65535
    ");
}

#[test]
fn ports_are_judged_after_interpolation() {
    let variables = |name: &str| match name {
        "REDIS_PORT" => Some("5433".to_owned()),
        "MINIO_API_PORT" => Some("70000".to_owned()),
        _ => None,
    };
    insta::assert_snapshot!(report_with(REAL, &variables), @r"
    services.minio.ports: `127.0.0.1:70000:9000` has no host port from 1 to 65535
    services.redis.ports: the host port 5433 is taken by postgres
    ");
    let text = broken("127.0.0.1:${PGPORT", "0.0.0.0:${PGPORT");
    insta::assert_snapshot!(report(&text), @"services.postgres.ports: publish `0.0.0.0:5433:5432` on 127.0.0.1; the default credentials are public");
}

#[test]
fn limits_and_log_rotation_are_asked_of_every_service() {
    let text = broken(
        "          memory: 256m\n    logging: *logging\n",
        "          memory: 0\n",
    );
    insta::assert_snapshot!(report(&text), @r"
    services.otel-collector.deploy.resources.limits.memory: set a limit, such as 512m
    services.otel-collector.logging.driver: name the driver, such as json-file
    services.otel-collector.logging.options.max-size: without it the log fills the disk
    services.otel-collector.logging.options.max-file: without it the log fills the disk
    ");
}

#[test]
fn what_is_no_yaml_is_one_problem() {
    let problems = validate("services: [", &|_| None);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().starts_with("file: is not valid YAML: "),
        "{problems:?}"
    );
}
