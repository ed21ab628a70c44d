//! The registry: whether it answers, holds every subject to its level, and gives the ids as
//! `acp.schemas` has them.

use quorate_core::records::SchemaEntry;

use super::Findings;
use crate::transport::kafka::{COMPATIBILITY, Error, Registry, Schemas};
use crate::wire::{Kind, schemas};

const CHECK: &str = "registry";

/// Says how the registry stands; where it does not answer, it is not asked further.
pub(super) async fn look(
    found: &mut Findings,
    registry: &Registry,
    schemas: &Schemas,
    prefix: &str,
) {
    let asked = ask(found, registry, schemas, prefix).await;
    let mend = "see that `registry` and its user are right and that it runs; what is registered \
                works from `acp.schemas` meanwhile";
    if found.made(CHECK, asked, mend).is_some() && !found.ails(CHECK) {
        let what = format!(
            "{} subjects at {COMPATIBILITY}, {} ids as recorded",
            Kind::ALL.len(),
            schemas.entries().len()
        );
        found.ok(CHECK, what);
    }
}

async fn ask(
    found: &mut Findings,
    registry: &Registry,
    schemas: &Schemas,
    prefix: &str,
) -> Result<(), Error> {
    for kind in Kind::ALL {
        let subject = kind.subject(prefix);
        let level = registry.level(&subject).await?;
        if level.as_deref() != Some(COMPATIBILITY) {
            let level = level.as_deref().unwrap_or("no level of its own");
            let what = format!("subject `{subject}` has {level}, not {COMPATIBILITY}");
            found.why(CHECK, what, "run `quorate schemas register`");
        }
    }
    for entry in schemas.entries() {
        let given = registry.schema(entry.schema_id).await?;
        compare(found, entry, given.as_deref());
    }
    Ok(())
}

/// Compares what was recorded under an id with what the registry gives for it.
fn compare(found: &mut Findings, entry: &SchemaEntry, given: Option<&str>) {
    let SchemaEntry {
        subject, schema_id, ..
    } = entry;
    let mend = "it has lost or issued anew its ids: restore it; records by recorded ids are still \
                read by `acp.schemas`, but nobody else can read them";
    let Some(given) = given else {
        let what = format!("id {schema_id}, recorded for `{subject}`, is unknown to it");
        return found.why(CHECK, what, mend);
    };
    let same = schemas::fingerprint_of(given).is_ok_and(|of| of[..] == entry.fingerprint.0);
    if !same {
        let what = format!("id {schema_id} is another schema than recorded for `{subject}`");
        found.why(CHECK, what, mend);
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::Bytes;

    use super::*;

    #[test]
    fn an_id_that_was_lost_or_issued_anew_is_named() {
        let entry = SchemaEntry {
            subject: "acp.outcomes-value".to_owned(),
            schema_id: 7,
            fingerprint: Bytes(schemas::fingerprint(Kind::Outcome).to_vec()),
            schema: Kind::Outcome.schema().to_owned(),
        };
        let said = |given| {
            let mut found = Findings::default();
            compare(&mut found, &entry, given);
            found.0.pop().map(|finding| finding.what)
        };
        assert_eq!(said(Some(Kind::Outcome.schema())), None);
        assert!(said(None).unwrap().contains("id 7"));
        assert!(
            said(Some(Kind::Round.schema()))
                .unwrap()
                .contains("another")
        );
    }
}
