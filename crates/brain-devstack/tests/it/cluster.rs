//! A Valkey Cluster: every slot served, a killed node back in its place.

use brain_devstack::ValkeyCluster;
use brain_devstack::valkey::protocol::command;

use crate::binaries;
use crate::folder::Folder;

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_serve_all_slots_between_them_and_take_a_lost_one_back() {
    let folder = Folder::new();
    let mut cluster = ValkeyCluster::start(&binaries(), folder.path().join("cluster"), 3)
        .await
        .unwrap();
    let ports = cluster.ports();
    assert_eq!(ports.len(), 3);
    // The slots of these three keys lie in different thirds: 3300 (`b`), 7365 (`c`), 15495 (`a`).
    for (key, home) in [("b", 0), ("c", 1), ("a", 2)] {
        for (number, port) in ports.iter().enumerate() {
            let answer = command(*port, &["SET", key, "1"]).await;
            assert_eq!(answer.is_ok(), number == home, "{key} on node {number}: {answer:?}");
        }
    }
    let lost = cluster.node(1).unwrap();
    lost.kill().await.unwrap();
    lost.start_again().await.unwrap();
    cluster.wait_until_whole().await.unwrap();
    command(ports[1], &["SET", "c", "2"]).await.unwrap();
    cluster.stop().await.unwrap();
}
