//! What can be asked for and said, as OpenAPI 3.1 has it: made of the table of routes and of the
//! records' Avro schemas, so that it cannot tell of something else.

mod records;

use std::sync::LazyLock;

use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response as Answer};
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayItems, SchemaType};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    AllOfBuilder, ArrayBuilder, Components, ContentBuilder, HeaderBuilder, HttpMethod, InfoBuilder,
    LicenseBuilder, ObjectBuilder, OneOfBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
    Ref, RefOr, Required, Response, ResponseBuilder, Schema, Type,
};

pub(super) use self::records::Schemas;
use self::records::{said, told};
use super::history::described;
use super::operate;
use super::query::Parameter;
use super::routes::{self, Gives, Route};
use crate::gateway::access::Verb;
use crate::gateway::refusal::Sort;
use crate::wire::Kind;

/// What comes, as it comes.
const EVENTS: &str = "text/event-stream";
/// What is said of a bearer token.
const TOKEN: &str = "token";

/// The document, as it is served.
pub(super) async fn serve() -> Answer {
    ([(CONTENT_TYPE, "application/json")], text()).into_response()
}

/// The document, indented.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = document().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    });
    &TEXT
}

fn document() -> OpenApi {
    let mut schemas = Schemas::new();
    let mut paths = PathsBuilder::new();
    for route in routes::all() {
        let path = PathItem::new(method(&route.method), operation(&route, &mut schemas));
        // What is at a path already is kept beside it.
        paths = paths.path(route.path, path);
    }
    schemas.insert("Problem".to_owned(), problem());
    let mut components = Components::new();
    components.schemas = schemas;
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let token = token.description(Some(
        "Whoever shows it speaks as its subject, in its roles.",
    ));
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    let license = LicenseBuilder::new().name("Apache-2.0");
    let license = license.identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Quorate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The Agent Consensus Protocol over HTTP. Records are Avro's, with the same names: \
             bytes are hexadecimal text, times milliseconds since the epoch.",
        ))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route, schemas: &mut Schemas) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.name))
        .summary(Some(route.summary));
    for name in in_path(route.path) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name(name);
        let parameter = parameter.parameter_in(ParameterIn::Path);
        operation = operation.parameter(parameter.required(Required::True).schema(Some(text)));
    }
    for parameter in route.query {
        operation = operation.parameter(in_query(*parameter));
    }
    let taken = match (route.takes, route.gives, &route.method) {
        (Some(taken), ..) => Some(said(taken, schemas)),
        (None, Gives::Ordered, &Method::PUT) => Some(described::<operate::Order>(schemas)),
        _ => None,
    };
    if let Some(taken) = taken {
        let content = ContentBuilder::new().schema(Some(taken));
        let body = RequestBodyBuilder::new().content("application/json", content.build());
        let body = body.required(Some(Required::True)).build();
        operation = operation.request_body(Some(body));
    }
    if route.is_told() {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name("Last-Event-ID");
        let parameter = parameter.parameter_in(ParameterIn::Header);
        let parameter = parameter.description(Some(
            "Under `Accept: text/event-stream`, the `id` of an event or the `position` of a page: \
             what came after it is told.",
        ));
        operation = operation.parameter(parameter.required(Required::False).schema(Some(text)));
    }
    if matches!(route.gives, Gives::Tagged(_)) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new().name("If-None-Match");
        let parameter = parameter.parameter_in(ParameterIn::Header);
        let parameter = parameter.description(Some(
            "The `ETag` of an answer: the record is told only if it is another by now.",
        ));
        operation = operation.parameter(parameter.required(Required::False).schema(Some(text)));
    }
    for (status, response) in answers(route, schemas) {
        operation = operation.response(status.to_string(), response);
    }
    for &sort in refusals(route) {
        let status = super::problem::status(sort);
        operation = operation.response(status.as_str(), refused(sort));
    }
    operation.securities(Some(securities(route)))
}

/// Who may: anybody, or whoever shows a token in one of some roles.
fn securities(route: &Route) -> Vec<SecurityRequirement> {
    if route.is_public {
        return vec![SecurityRequirement::default()];
    }
    let roles = route.verb().map_or(&[][..], Verb::roles).iter();
    roles
        .map(|role| SecurityRequirement::new(TOKEN, [role.name()]))
        .collect()
}

/// The names between braces.
fn in_path(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn in_query(parameter: Parameter) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(parameter.name())
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(parameter.meaning()))
        .schema(Some(parameter.schema()))
}

/// What is answered if nothing is wrong.
fn answers(route: &Route, schemas: &mut Schemas) -> Vec<(u16, Response)> {
    let json = |doc: &str, schema: RefOr<Schema>| {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(doc);
        response.content("application/json", content)
    };
    match route.gives {
        Gives::Anything => {
            let anything = ObjectBuilder::new().schema_type(Type::Object);
            vec![(200, json("This document", anything.into()).build())]
        }
        Gives::Appended => {
            schemas.insert("Appended".to_owned(), appended());
            let appended = |doc| {
                let response = json(doc, Ref::from_schema_name("Appended").into());
                response.header("Location", location()).build()
            };
            vec![
                (200, appended("Admitted; only if it was waited for")),
                (202, appended("The log has it")),
            ]
        }
        Gives::Claim => {
            let schema = claimed(schemas);
            vec![(200, json("The claim, which stands", schema).build())]
        }
        Gives::Ordered => {
            let schema = described::<operate::Ordered>(schemas);
            vec![(200, json("What has come of it", schema).build())]
        }
        Gives::Nothing => {
            let done = ResponseBuilder::new().description("None stands any more");
            vec![(204, done.build())]
        }
        Gives::Made(described) => {
            let schema = described(schemas);
            vec![(200, json("What is known", schema).build())]
        }
        Gives::File => {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let text = ContentBuilder::new().schema(Some(text)).build();
            let response = ResponseBuilder::new().description("A file");
            let response = response.content("text/csv", text.clone());
            vec![(200, response.content("application/jsonl", text).build())]
        }
        Gives::Record(kind) => {
            let schema = as_told(kind, schemas);
            vec![(200, json("The record", schema).build())]
        }
        Gives::Tagged(kind) => {
            let schema = as_told(kind, schemas);
            let same = ResponseBuilder::new().description("The record is the one that was had");
            vec![
                (
                    200,
                    json("The record", schema).header("ETag", tag()).build(),
                ),
                (304, same.header("ETag", tag()).build()),
            ]
        }
        Gives::List(name, kind) => {
            let items = told(kind, schemas);
            vec![(200, json("The records", list(name, items)).build())]
        }
        Gives::Page(name, kind) => {
            let items = as_told(kind, schemas);
            let response = json("The records", page(name, items));
            vec![(200, response.content(EVENTS, events()).build())]
        }
        Gives::Inbox => {
            let waiting = waiting(schemas);
            schemas.insert("Waiting".to_owned(), waiting);
            let mut inbox = page("rounds", Ref::from_schema_name("Waiting").into());
            if let RefOr::T(Schema::Object(inbox)) = &mut inbox {
                let whose = ObjectBuilder::new().schema_type(Type::String);
                let whose = whose.description(Some("Whose inbox it is.")).into();
                inbox.properties.insert("agent_id".to_owned(), whose);
                inbox.required.push("agent_id".to_owned());
            }
            let response = json("Nearest deadline first", inbox);
            vec![(200, response.content(EVENTS, events()).build())]
        }
    }
}

/// A record, with what is told beside its fields.
fn as_told(kind: Kind, schemas: &mut Schemas) -> RefOr<Schema> {
    let record = told(kind, schemas);
    if kind != Kind::DecisionPackage {
        return record;
    }
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let claim = OneOfBuilder::new().item(claimed(schemas)).item(nothing);
    let claim = claim.description(Some("Who is at it, if somebody is."));
    let beside = ObjectBuilder::new().schema_type(Type::Object);
    let beside = beside.property("claim", claim).required("claim");
    let beside = beside
        .property("may_decide", may_decide())
        .required("may_decide");
    let escalation = AllOfBuilder::new().item(record).item(beside);
    schemas.insert("Escalation".to_owned(), escalation.into());
    Ref::from_schema_name("Escalation").into()
}

/// Whether the caller may decide an escalation now.
fn may_decide() -> ObjectBuilder {
    let allowed = ObjectBuilder::new().schema_type(Type::Boolean);
    let or_nothing = |what| {
        let kinds = SchemaType::from_iter([Type::String, Type::Null]);
        ObjectBuilder::new()
            .schema_type(kinds)
            .description(Some(what))
    };
    let code = or_nothing("As what the caller's decision would be refused.");
    let detail = or_nothing("The same in words.");
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Whether the caller may decide it now, as far as is known.",
        ))
        .property("allowed", allowed)
        .required("allowed")
        .property("code", code)
        .required("code")
        .property("detail", detail)
        .required("detail")
}

/// A claim that stands.
fn claimed(schemas: &mut Schemas) -> RefOr<Schema> {
    let reviewer = ObjectBuilder::new().schema_type(Type::String);
    let reviewer = reviewer.description(Some("Whose it is."));
    let until = ObjectBuilder::new().schema_type(Type::Integer);
    let until = until.description(Some("When it runs out, milliseconds since the epoch."));
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let object = object.description(Some("A claim to an escalation; it decides nothing."));
    let object = object.property("reviewer", reviewer).required("reviewer");
    let object = object.property("until", until).required("until");
    schemas.insert("Claimed".to_owned(), object.into());
    Ref::from_schema_name("Claimed").into()
}

fn list(name: &str, items: RefOr<Schema>) -> RefOr<Schema> {
    listing(name, items).into()
}

fn listing(name: &str, items: RefOr<Schema>) -> ObjectBuilder {
    let items = ArrayItems::RefOrSchema(Box::new(items));
    let object = ObjectBuilder::new().schema_type(Type::Object);
    object
        .property(name, ArrayBuilder::new().items(items))
        .required(name)
}

/// A list that may go on.
fn page(name: &str, items: RefOr<Schema>) -> RefOr<Schema> {
    let text = SchemaType::from_iter([Type::String, Type::Null]);
    let next = ObjectBuilder::new().schema_type(text);
    let next = next.description(Some("To be given as `after`, if there is more."));
    let page = listing(name, items).property("next", next).required("next");
    let position = ObjectBuilder::new().schema_type(Type::String);
    let position = position.description(Some("From where to follow what comes after it."));
    page.property("position", position)
        .required("position")
        .into()
}

/// The same as it comes.
fn events() -> utoipa::openapi::Content {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = text.description(Some("Server-sent events: a record each, as it comes."));
    ContentBuilder::new().schema(Some(text)).build()
}

/// A round that waits for an answer.
fn waiting(schemas: &mut Schemas) -> RefOr<Schema> {
    let proposal = told(Kind::Proposal, schemas);
    let id = ObjectBuilder::new().schema_type(Type::String);
    let digest = Ref::from_schema_name("Digest");
    let time = ObjectBuilder::new().schema_type(Type::Integer);
    let time = time.description(Some("Milliseconds since the epoch."));
    let object = ObjectBuilder::new().schema_type(Type::Object);
    object
        .property("proposal_id", id)
        .required("proposal_id")
        .property("deadline", time)
        .required("deadline")
        .property("proposal_digest", digest)
        .required("proposal_digest")
        .property("proposal", proposal)
        .required("proposal")
        .into()
}

/// Where a record lies, and what became of it.
fn appended() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let whole = || ObjectBuilder::new().schema_type(Type::Integer);
    let state = text().enum_values(Some(["admitted", "pending"]));
    let state = state.description(Some("Only if it was waited for."));
    let object = ObjectBuilder::new().schema_type(Type::Object);
    object
        .property("id", text().description(Some("The record's own id.")))
        .required("id")
        .property("topic", text())
        .required("topic")
        .property("partition", whole().minimum(Some(0)))
        .required("partition")
        .property("offset", whole().minimum(Some(0)))
        .required("offset")
        .property("state", state)
        .into()
}

/// Problem details.
fn problem() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Why something was not done: RFC 9457."));
    let status = ObjectBuilder::new().schema_type(Type::Integer);
    object = object.property("status", status).required("status");
    for name in ["type", "title", "detail", "code"] {
        object = object.property(name, text()).required(name);
    }
    let id = text().description(Some("The id of the record it is about."));
    let claim = Ref::from_schema_name("Claimed");
    object.property("id", id).property("claim", claim).into()
}

fn tag() -> utoipa::openapi::Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(text));
    let meaning = "What to give as `If-None-Match`: another one once the record is another.";
    header.description(Some(meaning)).build()
}

fn location() -> utoipa::openapi::Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(text));
    header.description(Some("The round.")).build()
}

/// What may be wrong.
fn refusals(route: &Route) -> &'static [Sort] {
    use Sort::{Away, Bad, Forbidden, Gone, Missing, Refused, Taken, TooLarge, TooMany, Unknown};
    match route.gives {
        Gives::Anything => &[],
        Gives::Appended => &[Bad, Unknown, Forbidden, TooLarge, Refused, TooMany, Away],
        Gives::Claim | Gives::Nothing => &[Bad, Unknown, Forbidden, Missing, Taken, TooMany, Away],
        Gives::Ordered if route.method == Method::PUT => {
            &[Bad, Unknown, Forbidden, Missing, TooLarge, TooMany, Away]
        }
        Gives::Ordered => &[Bad, Unknown, Forbidden, Missing, TooMany, Away],
        Gives::Record(_) | Gives::Tagged(_) | Gives::List(..) => {
            &[Bad, Unknown, Forbidden, Missing, TooMany, Away]
        }
        Gives::Made(_) => &[Bad, Unknown, Forbidden, Missing, TooMany, Away],
        Gives::File => &[Bad, Unknown, Forbidden, TooMany, Away],
        Gives::Page(..) | Gives::Inbox => &[Bad, Unknown, Forbidden, Gone, TooMany, Away],
    }
}

fn refused(sort: Sort) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(super::problem::meaning(sort));
    response
        .content("application/problem+json", content)
        .build()
}
