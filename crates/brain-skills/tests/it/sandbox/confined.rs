//! Programs that run to their end, and what they see.

use super::*;

#[tokio::test]
async fn a_program_runs_and_its_exit_code_is_known() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run(&["true"]).await.ended, Ended::Exited(0));
    assert_eq!(fixture.shell("exit 7").await.ended, Ended::Exited(7));
    assert_eq!(fixture.shell("echo hello; echo there >&2").await.said(), "hello\n");
    assert_eq!(fixture.python("print(1 + 1)").await.said(), "2\n");
}
