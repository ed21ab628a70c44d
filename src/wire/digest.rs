//! Digests of what we write: SHA-256 over a datum, framing not included.

use quorate_core::ids::Digest;
use quorate_core::records::Policy;
use serde_avro_fast::ser::SerializerConfig;
use sha2::{Digest as _, Sha256};

use super::codec::USUAL;
use super::{Datum, Error};

/// The digest of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The digest of a record, or of a part that has one of its own: over its Avro datum by the
/// built-in schema.
///
/// # Errors
/// [`Error::Malformed`] if the record does not fit its schema, which none of ours does.
pub fn digest_of<T: Datum>(record: &T) -> Result<Digest, Error> {
    Ok(sha256(&datum(record, Vec::with_capacity(USUAL))?))
}

/// Appends a record's datum by the built-in schema.
pub(super) fn datum<T: Datum>(record: &T, into: Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut config = SerializerConfig::new(&T::shape().avro);
    serde_avro_fast::to_datum(record, into, &mut config).map_err(Error::malformed)
}

/// The digest of a policy: over its datum with 32 zero bytes where the digest is.
///
/// # Errors
/// As [`digest_of`].
pub fn policy_digest(policy: &Policy) -> Result<Digest, Error> {
    let mut bare = policy.clone();
    bare.digest = Digest::default();
    digest_of(&bare)
}

/// Gives a policy its digest.
///
/// # Errors
/// As [`digest_of`]; the policy is then as it was.
pub fn seal_policy(policy: &mut Policy) -> Result<(), Error> {
    policy.digest = policy_digest(policy)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use quorate_core::records::{DecisionPackage, DecisionPart, Outcome, PackageContent};

    use super::super::samples::{Dice, framed, sample};
    use super::super::{Codec, Kind};
    use super::*;

    #[test]
    fn a_policy_is_digested_with_zeros_for_its_digest() {
        let value = framed(Kind::Policy, sample(Kind::Policy, &mut Dice(5)));
        let (mut policy, _) = Codec::single_object().decode::<Policy>(&value).unwrap();
        let mut bare = value[10..].to_vec();
        let rest = bare.len() - 32;
        bare[rest..].fill(0);
        let digest = sha256(&bare);
        assert_eq!(policy_digest(&policy), Ok(digest));
        seal_policy(&mut policy).unwrap();
        assert_eq!(policy.digest, digest);
        assert_eq!(policy_digest(&policy), Ok(digest), "whatever it was");
        policy.early_close = !policy.early_close;
        assert_ne!(policy_digest(&policy), Ok(digest));
    }

    /// A part's datum lies in its record's, at some place, as it would alone.
    fn lies_in<T: Datum>(part: &T, value: &[u8]) {
        let alone = datum(part, Vec::new()).unwrap();
        assert!(value.windows(alone.len()).any(|window| window == alone));
        assert_eq!(digest_of(part), Ok(sha256(&alone)));
    }

    #[test]
    fn a_part_is_digested_as_it_lies_in_its_record() {
        let codec = Codec::single_object();
        for seed in 0..20 {
            let value = framed(Kind::Outcome, sample(Kind::Outcome, &mut Dice(seed)));
            let (outcome, _) = codec.decode::<Outcome>(&value).unwrap();
            lies_in::<DecisionPart>(&outcome.decision, &value);
            let kind = Kind::DecisionPackage;
            let value = framed(kind, sample(kind, &mut Dice(seed)));
            let (package, _) = codec.decode::<DecisionPackage>(&value).unwrap();
            lies_in::<PackageContent>(&package.content, &value);
        }
    }
}
