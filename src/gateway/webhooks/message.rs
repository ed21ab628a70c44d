//! What is sent of an escalation, and its signature, as Standard Webhooks has it.

use aws_lc_rs::hmac;
use axum::body::Bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quorate_core::domain::covers;
use quorate_core::ids::Timestamp;
use quorate_core::records::DecisionPackage;
use serde_json::json;

use super::Terms;

/// What a secret begins with.
const SECRET: &str = "whsec_";

/// What is signed with.
#[derive(Debug)]
pub(super) struct Key(hmac::Key);

impl Key {
    /// The key that a text tells.
    pub(super) fn read(secret: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(secret.trim().strip_prefix(SECRET)?);
        let bytes = bytes
            .ok()
            .filter(|bytes| (24..=64).contains(&bytes.len()))?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of a message that is sent at a second.
    pub(super) fn sign(&self, message: &Message, second: i64) -> String {
        let mut signed = hmac::Context::with_key(&self.0);
        signed.update(format!("{}.{second}.", message.id).as_bytes());
        signed.update(&message.body);
        format!("v1,{}", BASE64_STANDARD.encode(signed.sign()))
    }
}

/// What is sent of an escalation, however often.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The same whoever sends it, so that whoever gets it twice can tell.
    pub(super) id: String,
    pub(super) body: Bytes,
    /// When the escalation was appended.
    pub(super) at: Timestamp,
}

impl Message {
    /// What is sent of a package; none if these terms are not about it.
    pub(super) fn of(terms: &Terms, package: &DecisionPackage, at: Timestamp) -> Option<Self> {
        let content = &package.content;
        let (proposal, decision) = (&content.proposal, &content.decision);
        let domains = &terms.domains;
        let is_meant = |prefix: &String| covers(prefix, &proposal.domain);
        if decision.stakes < terms.stakes || !domains.is_empty() && !domains.iter().any(is_meant) {
            return None;
        }
        let round = package.proposal_id;
        let id = format!("{round}.{}", package.tier);
        let url = terms.console.trim_end_matches('/');
        let url = (!url.is_empty()).then(|| format!("{url}/console/?round={round}"));
        let mut body = json!({
            "type": "escalation",
            "id": id,
            "proposal_id": round,
            "domain": proposal.domain,
            "stakes": decision.stakes,
            "action": { "type": proposal.action.r#type, "subject": proposal.action.subject },
            "reasons": decision.reasons,
            "tier": package.tier,
            "due": package.due,
            "package_digest": package.package_digest.to_string(),
            "url": url,
        });
        if let (true, Some(body)) = (terms.summary, body.as_object_mut()) {
            body.insert("summary".to_owned(), proposal.summary.clone().into());
        }
        let body = body.to_string().into();
        Some(Self { id, body, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_standard_has_it() {
        // Of the reference implementations' tests.
        let key = Key::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: Bytes::from_static(br#"{"test": 2432232314}"#),
            at: Timestamp(0),
        };
        assert_eq!(
            key.sign(&message, 1_614_265_330),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
