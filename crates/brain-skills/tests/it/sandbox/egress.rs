//! The way out: a listener inside that the brain serves, and nothing else.

use std::net::TcpListener;

use brain_skills::sandbox::Door;

use super::*;

/// Answers the first connection with a word.
struct Greeter;

impl Door for Greeter {
    fn serve(&self, listener: TcpListener, _: Arc<Allowlist>, _: &Digest) -> Box<dyn Send + Sync> {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"welcome").await.unwrap();
        });
        Box::new(task)
    }
}

#[tokio::test]
async fn only_the_proxy_is_reached() {
    let fixture = Fixture::with(Settings {
        door: Some(Arc::new(Greeter)),
        ..settings()
    });
    let script = "
import os, socket
from urllib.parse import urlsplit
names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']
assert len({os.environ[name] for name in names}) == 1
proxy = urlsplit(os.environ['HTTP_PROXY'])
print(socket.create_connection((proxy.hostname, proxy.port)).makefile().read())
for kind, family, protocol in [(2, 2, 0), (3, 2, 0), (1, 2, 262), (1, 1, 0), (3, 16, 0), (3, 17, 0), (1, 40, 0)]:
    try: socket.socket(family, kind, protocol); print('open', family, kind, protocol)
    except PermissionError: pass
for port in (1, proxy.port + 1):
    try: socket.create_connection(('127.0.0.1', port))
    except PermissionError: print('refused')
s = socket.socket()
for call in (lambda: s.bind(('127.0.0.1', 0)), lambda: s.sendto(b'x', 0x20000000, ('127.0.0.1', proxy.port)), lambda: s.listen(1)):
    try: call(); print('let through')
    except PermissionError: pass
";
    let mut program = fixture.program(&["python3", "-c", script]);
    program.egress = Arc::new(Allowlist::parse(["example.com:443"]).unwrap());
    let running = fixture.sandbox.launch(&program).await.unwrap();
    let said = timeout(PATIENCE, Outcome::of(running)).await.unwrap().said();
    assert_eq!(said, "welcome\nrefused\nrefused\n");

    let without = Fixture::new();
    let refused = without.sandbox.launch(&program).await;
    assert!(matches!(refused, Err(launch::Error::Program(_))), "{refused:?}");
}
