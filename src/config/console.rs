//! What people see who decide, by domain: links, reasons, whether they judge first; and their keys.
//! None of it decides anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

/// Stands in a link for the subject.
const SUBJECT: &str = "{subject}";
/// Most reasons of a verdict: each is chosen by a digit.
const CODES_MAX: usize = 9;
/// The longest reason code, in bytes.
const CODE_MAX: usize = 64;

/// What pages for people are told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// What stands for proposals of some domains.
    pub domains: Vec<Domain>,
    /// Which key does what: one character each, no two the same, no digit.
    pub keys: BTreeMap<String, char>,
}

/// What stands for proposals of the domains under a prefix, unless a longer one says another.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The prefix, by whole segments; `*`: every domain.
    pub domain: String,
    /// Where the operator's own systems show more.
    #[serde(default)]
    pub links: Links,
    /// Whether what agents came to is shown only once a reviewer has chosen.
    #[serde(default)]
    pub hide_lean: Option<bool>,
    /// What may be given as a reason, by verdict.
    #[serde(default)]
    pub reason_codes: Codes,
}

/// Where the operator's own systems show more.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Of what an action is done to: a URL under https with `{subject}`, which is percent-encoded.
    #[serde(default)]
    pub subject: Option<String>,
}

/// Reasons by verdict, nine each at most; none: those that pages have themselves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Codes {
    /// To approve.
    #[serde(default)]
    pub approve: Vec<String>,
    /// To reject.
    #[serde(default)]
    pub reject: Vec<String>,
    /// To send back.
    #[serde(default)]
    pub send_back: Vec<String>,
}

impl Console {
    /// What is wrong with it: an option, and why.
    pub(super) fn flaw(&self) -> Option<(String, String)> {
        let mut known: BTreeMap<char, &str> = BTreeMap::new();
        for (name, &key) in &self.keys {
            let option = format!("console.keys.{name}");
            if key.is_whitespace() || key.is_control() || key.is_ascii_digit() {
                return Some((option, "is no key to choose: digits are reasons".to_owned()));
            }
            if let Some(other) = known.insert(key, name) {
                return Some((option, format!("has the key of `{other}`")));
            }
        }
        self.domains.iter().find_map(|entry| {
            let (option, why) = entry.flaw()?;
            Some((format!("console.domains.{option}"), why))
        })
    }
}

impl Domain {
    fn flaw(&self) -> Option<(&'static str, String)> {
        if self.domain.is_empty() {
            return Some(("domain", "is empty".to_owned()));
        }
        if let Some(link) = &self.links.subject
            && !is_link(link)
        {
            let why = format!(
                "`{link}` is no URL under https that has `{SUBJECT}` once, behind the host"
            );
            return Some(("links.subject", why));
        }
        let Codes {
            approve,
            reject,
            send_back,
        } = &self.reason_codes;
        for codes in [approve, reject, send_back] {
            let is_code = |code: &String| {
                let is_sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
                (1..=CODE_MAX).contains(&code.len()) && code.chars().all(is_sound)
            };
            if let Some(code) = codes.iter().find(|code| !is_code(code)) {
                let why = format!("`{code}` is not made of letters, digits and `_`");
                return Some(("reason_codes", why));
            }
            if codes.len() > CODES_MAX {
                let why = format!("has more than {CODES_MAX} of a verdict");
                return Some(("reason_codes", why));
            }
        }
        None
    }
}

/// Whether whatever the subject is, the link leads to the same host, over TLS.
fn is_link(link: &str) -> bool {
    let host = |subject: &str| {
        let url = Url::parse(&link.replace(SUBJECT, subject)).ok()?;
        let is_sound = url.scheme() == "https" && url.username().is_empty();
        is_sound.then(|| url.origin().ascii_serialization())
    };
    let parts: Vec<&str> = link.split(SUBJECT).collect();
    let [before, _] = parts.as_slice() else {
        return false;
    };
    // Nothing but what is behind the host may be made of the subject.
    let is_behind = Url::parse(before).is_ok() && before.matches('/').count() >= 3;
    is_behind && host("a").is_some() && host("a") == host("b")
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Error};

    fn why(text: &str) -> String {
        match Config::parse(text) {
            Ok(_) => String::new(),
            Err(error @ Error::Unsound { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_link_leads_to_the_operators_own_host_whatever_the_subject() {
        for (link, sound) in [
            ("https://files.bank.example/payments/{subject}", true),
            ("https://files.bank.example/?payment={subject}#top", true),
            ("http://files.bank.example/{subject}", false),
            ("https://files.bank.example/", false),
            ("https://files.bank.example/{subject}/{subject}", false),
            ("https://{subject}/", false),
            ("https://files.{subject}", false),
            ("https://files.bank.example{subject}", false),
            ("https://me@files.bank.example/{subject}", false),
            ("javascript:alert({subject})", false),
            ("{subject}", false),
        ] {
            let text = format!("[[console.domains]]\ndomain = \"pay\"\nlinks.subject = \"{link}\"");
            let said = why(&text);
            assert_eq!(said.is_empty(), sound, "{link}: {said}");
        }
    }

    #[test]
    fn reasons_are_codes_and_fit_the_digits() {
        let with = |codes: &str| {
            why(&format!(
                "[[console.domains]]\ndomain = \"pay\"\nreason_codes.reject = [{codes}]"
            ))
        };
        assert_eq!(with("\"rules_forbid\""), "");
        for bad in ["\"\"", "\"two words\"", "\"<b>\""] {
            assert!(with(bad).contains("reason_codes"), "{bad}");
        }
        assert!(with(&["\"a\""; 10].join(",")).contains("more than 9"));
    }

    #[test]
    fn no_two_keys_are_the_same() {
        assert_eq!(why("[console.keys]\napprove = \"y\""), "");
        assert!(why("[console.keys]\napprove = \"r\"").contains("has the key of"));
        for key in ["1", " ", "\\t"] {
            let said = why(&format!("[console.keys]\napprove = \"{key}\""));
            assert!(said.contains("console.keys.approve"), "{key}: {said}");
        }
        for wrong in ["approve = \"yes\"", "aprove = \"y\""] {
            assert!(Config::parse(&format!("[console.keys]\n{wrong}")).is_err());
        }
    }
}
