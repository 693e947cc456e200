//! `/dashboard/login` and `/dashboard/logout`: a session begins with a token, and ends.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    ROOT,
    form::{self, Posted, TOKEN},
    is_page, reply,
    session::{self, Visit, Visitor},
};
use crate::{
    app::App,
    audit,
    problem::{Kind, Problem},
    query::Query,
};

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    form_token: &'a str,
    next: &'a str,
    error: Option<&'a str>,
}

/// The way to the login, and from there to the place.
pub(super) fn path(place: Option<&str>) -> String {
    match place {
        None => "/dashboard/login".to_owned(),
        Some(place) => {
            let place = utf8_percent_encode(place, NON_ALPHANUMERIC);
            format!("/dashboard/login?next={place}")
        }
    }
}

/// A place that a link may lead to: one of the dashboard, however it is written.
fn place(next: Option<&str>) -> &str {
    let next = next.unwrap_or(ROOT);
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let within = is_page(path) && !path.split('/').any(|part| part == "..");
    if plain && within { next } else { ROOT }
}

/// The form.
pub(crate) async fn show(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["next"])?;
    let next = place(query.text("next"));
    match Visitor::of(&app, &headers).await {
        Ok(_) => return reply::see(next),
        Err(problem) if problem.kind() == Kind::Unauthorized => {}
        Err(problem) => return Err(problem),
    }
    form(&headers, StatusCode::OK, next, None)
}

fn form(headers: &HeaderMap, status: StatusCode, next: &str, error: Option<&str>) -> Result<Response, Problem> {
    let visit = Visit::of(headers)?;
    let page = Page {
        form_token: &visit.login_token(),
        next,
        error,
    };
    let mut response = reply::html(status, &page)?;
    if let Some(cookie) = visit.new_cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Begins a session.
pub(crate) async fn log_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let body = form::text(&app, request).await?;
    session::check_form(&Visit::of(&headers)?.login_token(), form::token(&body))?;
    let fields = Query::parse(Some(&body), &[TOKEN, "next", "token"])?;
    let next = place(fields.text("next"));
    if app.gate.without_credential().is_some() {
        return reply::see(next);
    }
    let token = fields.text("token").unwrap_or_default().trim();
    let refused = |status, why: &str| form(&headers, status, next, Some(why));
    if token.split('.').count() == 3 && !token.starts_with("brain_") {
        let why = "Tokens of an OpenID Connect issuer cannot log in here. Make an API token for the dashboard.";
        return refused(StatusCode::UNAUTHORIZED, why);
    }
    match app.gate.begin_session(token).await {
        Ok(begun) => {
            let by = &begun.principal;
            audit::done(
                &app.services.postgres,
                by,
                "session.begin",
                &by.tenant_id,
                (&by.id, None),
            )
            .await;
            let mut response = reply::see(next)?;
            let cookie = session::begin(&begun, &headers)?;
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(problem) if matches!(problem.kind(), Kind::Unauthorized | Kind::Overloaded) => {
            let why = format!("Not logged in: {}.", problem.detail());
            refused(problem.kind().status(), &why)
        }
        Err(problem) => Err(problem),
    }
}

/// Ends the session.
pub(crate) async fn log_out(State(app): State<Arc<App>>, posted: Posted) -> Result<Response, Problem> {
    posted.fields(&[TOKEN])?;
    if let Some(session) = posted.visitor.session() {
        app.gate.end_session(session).await?;
        let by = posted.visitor.caller();
        audit::done(&app.services.postgres, by, "session.end", &by.tenant_id, (&by.id, None)).await;
    }
    let mut response = reply::see("/dashboard/login")?;
    response.headers_mut().append(header::SET_COOKIE, session::end());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_the_dashboard_and_nowhere_else() {
        for good in ["/dashboard", "/dashboard/tasks?status=failed", "/dashboard/tasks/a%2Fb"] {
            assert_eq!(place(Some(good)), good);
        }
        for wrong in [
            "",
            "/",
            "//evil.example/dashboard",
            "/dashboardx",
            "https://evil.example/dashboard",
            "/dashboard/../api",
            "/dashboard/\\evil",
            "/dashboard/ x",
            "/dashboard\r\nset-cookie: x",
            "javascript:alert(1)",
        ] {
            assert_eq!(place(Some(wrong)), ROOT, "{wrong}");
        }
        assert_eq!(
            path(Some("/dashboard/tasks?a=b")),
            "/dashboard/login?next=%2Fdashboard%2Ftasks%3Fa%3Db"
        );
    }
}
