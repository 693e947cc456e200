//! A hundred confined programs at once.

use brain_skills::{
    launch::{Ended, Launch},
    sandbox::Sandbox,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::{PATIENCE, bench};

#[tokio::test]
async fn a_hundred_run_at_once_and_all_end_well() {
    let sandbox = Sandbox::new(bench::settings()).unwrap();
    let script = "echo up; read go; echo \"$go\"";
    let program = bench::plain("/usr", &["sh", "-c", script]);
    let started: Vec<_> = (0..100)
        .map(|_| {
            let (sandbox, program) = (sandbox.clone(), program.clone());
            tokio::spawn(async move {
                let mut running = sandbox.launch(&program).await.unwrap();
                let mut line = String::new();
                BufReader::new(&mut running.stdout).read_line(&mut line).await.unwrap();
                assert_eq!(line, "up\n");
                running
            })
        })
        .collect();
    let mut all = Vec::new();
    for one in started {
        all.push(timeout(PATIENCE, one).await.unwrap().unwrap());
    }
    // Now all of them wait, so all run at once.
    for (number, running) in all.iter_mut().enumerate() {
        running.stdin.write_all(format!("{number}\n").as_bytes()).await.unwrap();
    }
    for (number, mut running) in all.into_iter().enumerate() {
        let mut said = String::new();
        timeout(PATIENCE, running.stdout.read_to_string(&mut said))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(said, format!("{number}\n"));
        assert_eq!(running.tree.ended().await, Ended::Exited(0));
    }
}
