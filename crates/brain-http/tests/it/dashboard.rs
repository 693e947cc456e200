//! The dashboard as a browser has it: sessions, forms, pages.

mod approvals;
mod forms;
mod pages;
mod sessions;

use reqwest::{Method, Response, redirect::Policy};

use crate::brain::Brain;

/// Something that keeps a cookie and follows no redirection.
pub(crate) struct Browser<'a> {
    brain: &'a Brain,
    client: reqwest::Client,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(brain: &'a Brain) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none());
        Self {
            brain,
            client: client.build().unwrap(),
            cookie: None,
        }
    }

    /// One that has logged in.
    pub(crate) async fn with(brain: &'a Brain, token: &str) -> Self {
        let mut browser = Self::new(brain);
        let answer = browser.log_in(token).await;
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        browser
    }

    /// Sends the form of the login, and keeps the cookie of the session.
    pub(crate) async fn log_in(&mut self, token: &str) -> Response {
        let form = self.ask(&Method::GET, "/dashboard/login", &[]).await;
        let visit = set_cookie(&form, "brain_visit").unwrap();
        let form = hidden(&form.text().await.unwrap(), "form");
        let request = self.client.post(self.brain.url("/dashboard/login"));
        let request = request.header("cookie", &visit);
        let fields = [("form", form.as_str()), ("token", token), ("next", "/dashboard")];
        let answer = request.form(&fields).send().await.unwrap();
        self.cookie = set_cookie(&answer, "brain_session");
        answer
    }

    pub(crate) async fn ask(&self, method: &Method, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut request = self.client.request(method.clone(), self.brain.url(path));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if *method == Method::POST {
            request = request.form(fields);
        }
        request.header("x-request-id", "r-1").send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(&Method::GET, path, &[]).await
    }

    /// A page that is there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    /// Sends a form with its token.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.form_token().await;
        let fields: Vec<_> = fields.iter().copied().chain([("form", token.as_str())]).collect();
        self.ask(&Method::POST, path, &fields).await
    }

    /// What its forms carry: the one to log out is on every page.
    pub(crate) async fn form_token(&self) -> String {
        hidden(&self.page("/dashboard").await, "form")
    }
}

/// A cookie that an answer sets, as it is sent back.
pub(crate) fn set_cookie(answer: &Response, name: &str) -> Option<String> {
    let mut set = answer.headers().get_all("set-cookie").iter();
    let line = set.find_map(|line| line.to_str().ok().filter(|line| line.starts_with(&format!("{name}="))))?;
    line.split(';').next().map(str::to_owned)
}

/// The value of a hidden field.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let begin = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
    let from = page.find(&begin).unwrap_or_else(|| panic!("no {name} in {page}")) + begin.len();
    page[from..].split('"').next().unwrap().to_owned()
}
