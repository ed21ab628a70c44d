//! The registry: whether it answers, holds every subject to its level, and gives the ids as
//! `acp.schemas` has them.

use super::Findings;
use crate::transport::kafka::{self, COMPATIBILITY, Difference, Registry, Schemas};

const CHECK: &str = "registry";

/// Says how the registry stands; where it does not answer, it is not asked further.
pub(super) async fn look(
    found: &mut Findings,
    registry: &Registry,
    schemas: &Schemas,
    prefix: &str,
) {
    let (all, failed) = kafka::compare(prefix, schemas.entries(), registry).await;
    for compared in &all {
        for Difference { what, mend } in &compared.differences {
            found.why(CHECK, format!("`{}`: {what}", compared.subject), mend);
        }
    }
    let mend = "see that `registry` and its user are right and that it runs; what is registered \
                works from `acp.schemas` meanwhile";
    let asked = failed.map_or(Ok(()), Err);
    if found.made(CHECK, asked, mend).is_some() && !found.ails(CHECK) {
        let what = format!(
            "{} subjects at {COMPATIBILITY}, {} ids as recorded",
            all.len(),
            schemas.entries().len()
        );
        found.ok(CHECK, what);
    }
}
