//! Where a key goes: murmur2 as Java clients have it, so that everybody agrees.

/// What Kafka's clients begin with.
const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// MurmurHash2 of 32 bits, as `org.apache.kafka.common.utils.Utils.murmur2` has it. Every record is
/// hashed, and the libraries there are take a byte at a time.
fn murmur2(key: &[u8]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "Java's length is an int")]
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let bytes = rest.iter().rev();
        hash ^= bytes.fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

/// The partition, of so many, that Java's default partitioner gives a key.
///
/// Of fewer than one partition, the answer is 0.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test of its hash.
    const JAVA: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        ("abc", 479_470_107),
    ];

    #[test]
    fn the_hash_is_the_librarys() {
        let key: Vec<u8> = (0..=255).collect();
        for length in 0..key.len() {
            let key = &key[length..];
            assert_eq!(murmur2(key), murmur2::murmur2(key, murmur2::KAFKA_SEED));
        }
    }

    #[test]
    fn the_hash_is_javas() {
        for (key, hash) in JAVA {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_key_goes_where_javas_partitioner_puts_it() {
        for (key, hash) in JAVA {
            for partitions in [1, 2, 3, 12, 1_000, i32::MAX] {
                let java = (hash & 0x7fff_ffff) % partitions;
                assert_eq!(partition_of(key.as_bytes(), partitions), java, "{key}");
            }
        }
        assert_eq!(partition_of(b"abc", 0), 0);
        assert_eq!(partition_of(b"abc", -1), 0);
    }
}
