//! What a program sees: its environment, its descriptors, its files, its processes, its network.

use super::*;

#[tokio::test]
async fn the_environment_is_what_was_named_and_nothing_more() {
    let fixture = Fixture::new();
    let mut program = fixture.program(&["python3", "-c", "import os; print(sorted(os.environ.items()))"]);
    program.environment.insert("TOKEN".into(), "granted".into());
    let running = fixture.sandbox.launch(&program).await.unwrap();
    let said = timeout(PATIENCE, Outcome::of(running)).await.unwrap().said();
    let path = "/usr/local/bin:/usr/bin:/bin";
    // Python itself adds what it makes of an empty locale.
    let expected = format!(
        "[('HOME', '/tmp'), ('LC_CTYPE', 'C.UTF-8'), ('PATH', '{path}'), ('TMPDIR', '/tmp'), ('TOKEN', 'granted')]\n"
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn only_the_three_standard_descriptors_are_open() {
    let fixture = Fixture::new();
    // A descriptor that the brain forgot to close on execution must not get in either.
    let leaked = std::fs::File::open("/dev/null").unwrap();
    let script = "import os\nopen_ones = []\nfor n in range(1024):\n try:\n  os.fstat(n); open_ones.append(n)\n except OSError: pass\nprint(open_ones)";
    assert_eq!(fixture.python(script).await.said(), "[0, 1, 2]\n");
    drop(leaked);
}

#[tokio::test]
async fn what_is_written_to_its_input_comes_out() {
    let fixture = Fixture::new();
    let mut running = fixture.sandbox.launch(&fixture.program(&["cat"])).await.unwrap();
    let text = vec![b'x'; 1 << 20];
    let mut stdin = std::mem::replace(&mut running.stdin, Box::new(tokio::io::sink()));
    let write = async {
        stdin.write_all(&text).await.unwrap();
        drop(stdin);
    };
    let (outcome, ()) = timeout(PATIENCE, async { tokio::join!(Outcome::of(running), write) })
        .await
        .unwrap();
    assert_eq!(outcome.said().len(), text.len());
}

#[tokio::test]
async fn its_code_is_there_and_cannot_be_changed() {
    let fixture = Fixture::new();
    let script = fixture.directory.path().join("run.sh");
    std::fs::write(
        &script,
        "#!/bin/sh\npwd; echo changed > /skill/run.sh || echo refused\nchmod 777 /skill/run.sh || echo refused\n",
    )
    .unwrap();
    std::fs::set_permissions(&script, permissions(0o755)).unwrap();
    let before = std::fs::read(&script).unwrap();
    let outcome = fixture.run(&["run.sh"]).await;
    assert_eq!(outcome.said(), "/skill\nrefused\nrefused\n");
    assert_eq!(std::fs::read(&script).unwrap(), before);
}

#[tokio::test]
async fn files_of_the_host_are_not_there() {
    let fixture = Fixture::new();
    let canary = tempfile::Builder::new()
        .permissions(permissions(0o644))
        .tempfile()
        .unwrap();
    let canary = canary.path().to_str().unwrap();
    let script = format!(
        "for place in {canary} /etc/shadow /etc/hostname /root /home /var /sys /run /dev/shm /dev/tty /dev/ptmx /proc/sys; do \
         test -e $place && echo $place; done; ls /; ls -A /tmp"
    );
    let said = fixture.shell(&script).await.stdout;
    let mut seen: Vec<&str> = said.split_whitespace().collect();
    seen.retain(|name| !["sbin", "lib32", "lib64"].contains(name));
    assert_eq!(
        seen,
        ["bin", "data", "dev", "etc", "lib", "proc", "skill", "tmp", "usr"]
    );
}

#[tokio::test]
async fn its_own_processes_are_the_only_ones() {
    let fixture = Fixture::new();
    // The first process of the namespace is hidden: it cannot be traced.
    assert_eq!(
        fixture.shell("cd /proc; echo [0-9]*; echo $$; echo $PPID").await.said(),
        "2\n2\n1\n"
    );
    let script = "import os\nfor pid in (1, os.getppid()):\n for what in ('environ', 'mem', 'fd', 'maps'):\n  try: print(open(f'/proc/{pid}/{what}').read(1))\n  except OSError: pass";
    assert_eq!(fixture.python(script).await.said(), "");
}

#[tokio::test]
async fn it_is_nobody_and_can_become_nobody_else() {
    let fixture = Fixture::new();
    let said = fixture
        .shell("id -u; id -un; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
        .await
        .said();
    let none = "0000000000000000";
    let caps: String = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
        .map(|cap| format!("{cap}:\t{none}\n"))
        .concat();
    assert_eq!(said, format!("1000\nskill\n{caps}NoNewPrivs:\t1\nSeccomp:\t2\n"));
}

#[tokio::test]
async fn there_is_no_network() {
    let fixture = Fixture::new();
    let script = "import socket\nfor kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):\n for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK):\n  try: socket.socket(family, kind); print(family, kind)\n  except PermissionError: pass";
    assert_eq!(fixture.python(script).await.said(), "");
    let pair = "import socket; a, b = socket.socketpair(); a.send(b'hello'); print(b.recv(9))";
    assert_eq!(fixture.python(pair).await.said(), "b'hello'\n");
}

#[tokio::test]
async fn what_it_mounts_is_seen_where_it_should_be() {
    let fixture = Fixture::new();
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(input.path(), permissions(0o755)).unwrap();
    std::fs::write(input.path().join("question"), "6 * 7").unwrap();
    let script = "echo $(( $(cat /data/in/question) )) > /data/out/answer; touch /data/in/x || touch /data/x || echo refused; \
                  printf '#!/bin/sh\\n' > /data/out/run; chmod 755 /data/out/run; /data/out/run || echo refused";
    let mut program = fixture.program(&["sh", "-c", script]);
    let mount = |host: &TempDir, inside: &str, writable| Mount {
        host: host.path().to_path_buf(),
        inside: inside.into(),
        writable,
    };
    program.mounts = vec![mount(&input, "/data/in", false), mount(&output, "/data/out", true)];
    let running = fixture.sandbox.launch(&program).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, Outcome::of(running)).await.unwrap().said(),
        "refused\nrefused\n"
    );
    assert_eq!(std::fs::read_to_string(output.path().join("answer")).unwrap(), "42\n");

    for inside in ["/etc", "/data/../etc", "data", "/skill/x"] {
        program.mounts = vec![mount(&input, inside, true)];
        let refused = fixture.sandbox.launch(&program).await;
        assert!(
            matches!(refused, Err(launch::Error::Program(_))),
            "{inside}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_is_refused_by_name() {
    let fixture = Fixture::new();
    std::fs::write(fixture.directory.path().join("not-executable"), "").unwrap();
    for name in ["no-such-interpreter", "../x", "/bin/sh", "", "not-executable"] {
        let refused = fixture.sandbox.launch(&fixture.program(&[name])).await;
        let Err(launch::Error::Program(reason)) = refused else {
            panic!("{name:?} was let through: {refused:?}");
        };
        assert!(reason.contains(name), "{reason}");
    }
    let mut long = fixture.program(&["true"]);
    long.environment.insert("LONG".into(), "x".repeat(1 << 20));
    let refused = fixture.sandbox.launch(&long).await;
    assert!(matches!(refused, Err(launch::Error::Program(_))), "{refused:?}");
}
