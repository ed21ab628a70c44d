//! Over HTTP: every route, in every role and without a token.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{AGENTS, POLICIES};
use crate::support::House;
use crate::support::page::{Table, mark};
use crate::support::web::{Web, bearer, token, tokens};

/// Every role, and somebody in it and in no other.
const PEOPLE: [(&str, &str); 4] = [
    ("ada", "agent"),
    ("ledger", "reporter"),
    ("rita", "reviewer"),
    ("op", "operator"),
];

#[test]
fn over_http_everybody_may_what_the_page_says() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let web = house.serve_told(Some(&tokens(&PEOPLE)), "operates = true\n");
    let document = web.ask("GET", "/v1/openapi.json", &[], "").with(200);
    let mut table = Table::headed(&["agent", "reporter", "reviewer", "operator", "no token"]);
    let sessions = PEOPLE.map(|(name, _)| signed_in(&web, name));
    let id = uuid::Uuid::now_v7().to_string();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let place: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { &id } else { part })
            .collect();
        for (method, told) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let ask = |head: &[String]| {
                let answer = web.ask(&method, &place.join("/"), head, "{}");
                match answer.status {
                    401 => drop(answer.problem(401, "unauthenticated")),
                    403 => drop(answer.problem(403, "role_missing")),
                    status => {
                        assert!(status < 500, "{method} {path}: {status}");
                        return true;
                    }
                }
                false
            };
            let open = ask(&[]);
            let mut may = PEOPLE.map(|(name, _)| ask(&[bearer(name)])).to_vec();
            // Who is signed in may what the token may, by which it is.
            let signed_in = sessions
                .each_ref()
                .map(|cookie| ask(std::slice::from_ref(cookie)));
            assert_eq!(signed_in.to_vec(), may, "{method} {path}");
            // What is told to those who read the document is what is done.
            for ((_, role), may) in PEOPLE.iter().zip(&may) {
                assert_eq!(is_told(told, role), *may, "{method} {path}: {role}");
            }
            may.push(open);
            let marks: Vec<_> = may.into_iter().map(mark).collect();
            table.row(&format!("`{method} {path}`"), &marks);
        }
    }
    table.is_that_of("Over HTTP");
}

/// The line by which a browser shows that somebody has signed in.
fn signed_in(web: &Web, name: &str) -> String {
    let body = json!({ "token": token(name) }).to_string();
    let answer = web.ask("POST", "/console/session", &[], &body);
    let given = answer.header("set-cookie").unwrap();
    answer.with(200);
    format!("Cookie: {}", given.split(';').next().unwrap())
}

/// Routes that are not of the table, and so not in the document: by four of them people sign in and
/// out, and the others lead to the console's settings and files.
const BESIDES: [&str; 8] = [
    r#""/console/session""#,
    r#""/console/session/ways""#,
    r#""/console/session/begin""#,
    r#""/console/session/callback""#,
    r#""/console/settings""#,
    r#""/""#,
    r#""/console""#,
    "&path",
];

#[test]
fn every_route_is_one_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway/http");
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let added = text.split(".route(").skip(1);
        found.extend(added.map(|after| after.trim().chars().take_while(|c| *c != ',').collect()));
    }
    let known = BESIDES.into_iter().chain(["path"]);
    let mut known: Vec<String> = known.map(str::to_owned).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

/// Whether the document tells that a role may do this.
fn is_told(operation: &Value, role: &str) -> bool {
    let securities = operation["security"].as_array().unwrap();
    securities.iter().any(|security| {
        let roles = security.get("token");
        roles.is_none_or(|roles| roles.as_array().unwrap().contains(&role.into()))
    })
}
