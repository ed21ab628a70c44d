//! W3C trace context: what a `traceparent` header must look like to be carried on.
//!
//! Whoever writes the header is not trusted with its length: it goes into every record that follows
//! from a proposal. One that is not as it must be is as if it were not there.

/// How long a header of a later version may be, in bytes.
const LONGEST: usize = 256;

/// Why a text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// Its fields are not where they must be.
    #[error("it is not VERSION-TRACE-PARENT-FLAGS of 2, 32, 16 and 2 lower-case hex digits")]
    Shape,
    /// No version is called so.
    #[error("`ff` is no version")]
    Version,
    /// An id of zeros says that there is none.
    #[error("its {0} is all zeros")]
    Zeros(&'static str),
}

/// Whether a text is a `traceparent` of version 00, or of a later one by its first fields.
///
/// # Errors
/// Why it is not.
pub fn check_traceparent(text: &str) -> Result<(), TraceError> {
    let mut fields = text.splitn(5, '-');
    let mut field = |length: usize| {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let field = fields.next().unwrap_or_default();
        let sound = field.len() == length && field.as_bytes().iter().all(is_hex);
        sound.then_some(field).ok_or(TraceError::Shape)
    };
    let (version, trace, parent, _) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let more = fields.next().is_some();
    if more && (version == "00" || text.len() > LONGEST) {
        return Err(TraceError::Shape);
    }
    if version == "ff" {
        return Err(TraceError::Version);
    }
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    match (is_zero(trace), is_zero(parent)) {
        (true, _) => Err(TraceError::Zeros("trace id")),
        (_, true) => Err(TraceError::Zeros("parent id")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn this_version_and_later_ones_are_known_by_their_first_fields() {
        assert_eq!(check_traceparent(TRACE), Ok(()));
        let later = TRACE.replacen("00", "cc", 1);
        assert_eq!(check_traceparent(&later), Ok(()));
        assert_eq!(check_traceparent(&format!("{later}-what-comes")), Ok(()));
    }

    #[test]
    fn what_is_not_a_trace_is_not_carried_on_however_long_it_is() {
        let shape = Err(TraceError::Shape);
        for text in [
            "",
            "00",
            "x",
            &TRACE[1..],
            &TRACE.to_uppercase(),
            &TRACE.replace('-', "_"),
        ] {
            assert_eq!(check_traceparent(text), shape, "{text}");
        }
        assert_eq!(check_traceparent(&format!("{TRACE}-more")), shape);
        let long = format!("cc{}-{}", &TRACE[2..], "x".repeat(LONGEST));
        assert_eq!(check_traceparent(&long), shape);
        let version = TRACE.replacen("00", "ff", 1);
        assert_eq!(check_traceparent(&version), Err(TraceError::Version));
        let trace = TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        assert_eq!(
            check_traceparent(&trace),
            Err(TraceError::Zeros("trace id"))
        );
        let parent = TRACE.replace("00f067aa0ba902b7", &"0".repeat(16));
        assert_eq!(
            check_traceparent(&parent),
            Err(TraceError::Zeros("parent id"))
        );
    }
}
