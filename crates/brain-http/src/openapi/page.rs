//! The document as one page of HTML: made here, shown without a script and without anything from elsewhere.
//!
//! Invariant: all text of the document is escaped; the policy allows the page's own style and nothing else.

mod markup;
mod schema;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::markup::{Html, text};

const STYLE: &str = include_str!("page/style.css");

/// Under which policy browsers show the page.
pub(super) fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Renders the document, group by group.
pub(super) fn render(document: &Value, groups: &[(&'static str, &'static str)]) -> String {
    let page = Page {
        document,
        html: Html::default(),
    };
    page.render(groups)
}

struct Page<'a> {
    document: &'a Value,
    html: Html,
}

impl Page<'_> {
    fn render(mut self, groups: &[(&'static str, &'static str)]) -> String {
        let info = &self.document["info"];
        let html = &mut self.html;
        html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\"><title>Studio Brain API</title><style>");
        html.raw(STYLE);
        html.raw("</style></head><body><a class=\"skip\" href=\"#main\">Skip to the operations</a><header><h1>");
        html.text(text(info, "title"));
        html.raw(" <small>API ");
        html.text(text(info, "version"));
        html.raw("</small></h1><p>");
        html.text(text(info, "summary"));
        html.raw(" <a href=\"/openapi.json\">OpenAPI 3.1 document</a></p></header><div class=\"frame\"><nav aria-label=\"Contents\"><ul>");
        html.raw("<li><a href=\"#introduction\">introduction</a></li>");
        for (name, _) in groups {
            html.link(&anchor("group", name), name);
        }
        html.raw("<li><a href=\"#schemas\">data types</a></li></ul></nav><main id=\"main\" tabindex=\"-1\">");
        html.raw("<section id=\"introduction\"><h2>Introduction</h2>");
        html.prose(text(info, "description"));
        html.raw("</section>");
        for (name, what) in groups {
            self.group(name, what);
        }
        self.schemas();
        self.html.raw("</main></div></body></html>\n");
        self.html.finish()
    }

    fn group(&mut self, name: &str, what: &str) {
        let html = &mut self.html;
        html.raw("<section id=\"");
        html.text(&anchor("group", name));
        html.raw("\"><h2>");
        html.text(name);
        html.raw("</h2>");
        html.prose(what);
        let paths = self.document["paths"].as_object();
        for (path, methods) in paths.into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if operation["tags"][0] == name {
                    self.operation(path, method, operation);
                }
            }
        }
        self.html.raw("</section>");
    }

    fn operation(&mut self, path: &str, method: &str, operation: &Value) {
        let html = &mut self.html;
        html.raw("<details id=\"");
        html.text(text(operation, "operationId"));
        html.raw("\"><summary><span class=\"method ");
        html.text(method);
        html.raw("\">");
        html.text(&method.to_ascii_uppercase());
        html.raw("</span> <code>");
        html.text(path);
        html.raw("</code> <span class=\"what\">");
        html.text(text(operation, "summary"));
        html.raw("</span></summary><div class=\"body\">");
        html.prose(text(operation, "description"));
        self.access(operation);
        self.parameters(operation);
        self.bodies(operation);
        self.answers(operation);
        self.html.raw("</div></details>");
    }

    fn access(&mut self, operation: &Value) {
        let html = &mut self.html;
        html.raw("<p class=\"access\">");
        match (
            operation["x-required-role"].as_str(),
            operation["x-required-scope"].as_str(),
        ) {
            (Some(role), Some(scope)) => {
                html.raw("Needs the role <code>");
                html.text(role);
                html.raw("</code> and, where the token has scopes, <code>");
                html.text(scope);
                html.raw("</code>.");
            }
            (Some(_), None) => html.raw("Needs any credential."),
            (None, _) => html.raw("Needs no credential."),
        }
        html.raw("</p>");
        for rule in operation["x-authorization"].as_array().into_iter().flatten() {
            html.prose(rule.as_str().unwrap_or_default());
        }
        let limits = operation["x-limits"].as_object();
        for (name, most) in limits.into_iter().flatten() {
            let most = most.as_str().map_or_else(|| most.to_string(), str::to_owned);
            html.prose(&format!("At most: `{name}` {most}."));
        }
    }

    fn parameters(&mut self, operation: &Value) {
        let Some(parameters) = operation["parameters"].as_array() else {
            return;
        };
        self.html.raw("<h3>Parameters</h3><dl>");
        for parameter in parameters {
            let html = &mut self.html;
            html.raw("<dt><code>");
            html.text(text(parameter, "name"));
            html.raw("</code> <span class=\"kind\">");
            html.text(text(parameter, "in"));
            if parameter["required"] == true {
                html.raw(", required");
            }
            html.raw("</span></dt><dd>");
            html.prose(text(parameter, "description"));
            schema::line(html, &parameter["schema"]);
            html.raw("</dd>");
        }
        self.html.raw("</dl>");
    }

    fn bodies(&mut self, operation: &Value) {
        let body = &operation["requestBody"];
        let Some(content) = body["content"].as_object() else {
            return;
        };
        let needed = if body["required"] == true {
            ""
        } else {
            " (may be left out)"
        };
        self.html.raw("<h3>Body");
        self.html.raw(needed);
        self.html.raw("</h3>");
        self.content(content);
    }

    fn answers(&mut self, operation: &Value) {
        self.html.raw("<h3>Answers</h3><dl>");
        let answers = operation["responses"].as_object();
        for (status, answer) in answers.into_iter().flatten() {
            let answer = self.resolved(answer);
            let html = &mut self.html;
            html.raw("<dt><code>");
            html.text(status);
            html.raw("</code></dt><dd>");
            html.prose(text(answer, "description"));
            let problem = answer["content"].get("application/problem+json").is_some();
            if let (Some(content), false) = (answer["content"].as_object(), problem && status.as_str() >= "4") {
                self.content(content);
            }
            self.html.raw("</dd>");
        }
        self.html.raw("</dl>");
    }

    fn content(&mut self, content: &Map<String, Value>) {
        for (media_type, one) in content {
            self.html.raw("<p><code>");
            self.html.text(media_type);
            self.html.raw("</code></p>");
            schema::line(&mut self.html, &one["schema"]);
            if let Some(example) = one.get("example") {
                self.html.raw("<pre tabindex=\"0\">");
                self.html
                    .text(&serde_json::to_string_pretty(example).unwrap_or_default());
                self.html.raw("</pre>");
            }
        }
    }

    fn schemas(&mut self) {
        self.html.raw("<section id=\"schemas\"><h2>data types</h2>");
        let schemas = self.document["components"]["schemas"].as_object();
        for (name, one) in schemas.into_iter().flatten() {
            schema::section(&mut self.html, name, one);
        }
        self.html.raw("</section>");
    }

    fn resolved<'b>(&self, answer: &'b Value) -> &'b Value
    where
        Self: 'b,
    {
        let target = answer["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
        target.and_then(|place| self.document.pointer(place)).unwrap_or(answer)
    }
}

fn anchor(kind: &str, name: &str) -> String {
    format!("{kind}-{}", name.replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_the_document_cannot_become_markup() {
        let evil = "<script>alert(1)</script>\"'&";
        let document = json!({
            "info": { "title": evil, "version": evil, "summary": evil, "description": format!("**{evil}** `{evil}`\n\n- {evil}") },
            "paths": { evil: { "get": {
                "operationId": evil, "tags": ["group"], "summary": evil, "description": evil,
                "parameters": [{ "name": evil, "in": evil, "description": evil, "schema": { "type": evil, "enum": [evil] } }],
                "responses": { "200": { "description": evil, "content": { evil: { "schema": { "$ref": evil }, "example": evil } } } },
            } } },
            "components": { "schemas": { evil: { "description": evil, "properties": { evil: { "description": evil } } } } },
        });
        let page = render(&document, &[("group", evil)]);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("alert(1)</script>"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}
