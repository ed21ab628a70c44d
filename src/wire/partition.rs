//! Where a key goes: murmur2 as Java clients have it, so that everybody agrees.

use murmur2::{KAFKA_SEED, murmur2};

/// The partition, of so many, that Java's default partitioner gives a key.
///
/// Of fewer than one partition, the answer is 0.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key, KAFKA_SEED) & 0x7fff_ffff).cast_signed();
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
    fn the_hash_is_javas() {
        for (key, hash) in JAVA {
            assert_eq!(
                murmur2(key.as_bytes(), KAFKA_SEED).cast_signed(),
                hash,
                "{key}"
            );
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
