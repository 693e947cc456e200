//! A browser without a window, steered through its driver.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use brain_testkit::eventually_within;
use fantoccini::{
    Client, ClientBuilder, Locator,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper::Method;
use serde_json::{Value, json};

/// How long a page may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A driver with one browser. Dropping it ends both.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    axe: String,
}

/// A command of the protocol of the developer tools.
#[derive(Debug)]
struct Tools(Value);

impl WebDriverCompatibleCommand for Tools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let axe = std::env::var("BRAIN_TEST_AXE");
        let axe =
            axe.expect("run this with `cargo xtask test`, which fetches axe-core and says which programs are missing");
        let axe = std::fs::read_to_string(axe).unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is on PATH (Debian package chromium-driver)");
        let said = BufReader::new(driver.stdout.take().unwrap());
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split("started successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver says its port");
        let mut capabilities = Capabilities::new();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ];
        let options = json!({ "args": arguments, "binary": chromium() });
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        // What a page asks a person stays open, so that it is seen.
        capabilities.insert("unhandledPromptBehavior".to_owned(), json!("ignore"));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium starts (Debian package chromium)");
        client.set_window_rect(0, 0, 1280, 900).await.unwrap();
        Self { driver, client, axe }
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        self.client
            .find(Locator::Css(selector))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.client
            .find(Locator::Css(selector))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        self.client
            .find(Locator::Css(selector))
            .await
            .unwrap()
            .send_keys(text)
            .await
            .unwrap();
    }

    /// Waits until the text of a part says so. A part that is being replaced is looked for again.
    pub(crate) async fn says(&self, selector: &str, expected: &str) {
        eventually_within(PATIENCE, &format!("{selector} says {expected}"), async || {
            let part = self.client.find(Locator::Css(selector)).await.ok()?;
            part.text().await.ok()?.contains(expected).then_some(())
        })
        .await;
    }

    /// Whether a page asks or tells something by a dialog.
    pub(crate) async fn has_dialog(&self) -> bool {
        self.client.get_alert_text().await.is_ok()
    }

    async fn tools(&self, command: &str, parameters: Value) -> Value {
        let command = Tools(json!({ "cmd": command, "params": parameters }));
        self.client.issue_cmd(command).await.unwrap()
    }

    pub(crate) async fn prefers(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tools("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await;
    }

    pub(crate) async fn width(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What axe-core finds on the page that is open, one line for each place.
    pub(crate) async fn barriers(&self) -> Vec<String> {
        self.client.execute(&self.axe, Vec::new()).await.unwrap();
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations), (error) => done(String(error)));";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        let found = found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}"));
        let lines = found.iter().flat_map(|violation| {
            let nodes = violation["nodes"].as_array().into_iter().flatten();
            nodes.map(|node| format!("{}: {} {}", violation["id"], node["target"], node["failureSummary"]))
        });
        lines.collect()
    }

    pub(crate) async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.unwrap()
    }

    pub(crate) async fn close(mut self) {
        let _ = self.client.clone().close().await;
        let _ = self.driver.kill();
    }
}

/// The browser of the driver's own package, whatever else is installed.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("chromium"))
        .find(|file| file.is_file());
    found.expect("chromium is on PATH (Debian package chromium)")
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
