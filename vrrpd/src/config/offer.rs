//! What a pool's parties must have in common.

use core::time::Duration;

use sha2::{Digest, Sha256};

/// Raised by each change of the pool protocol that older parties do not understand.
const PROTOCOL_VERSION: u16 = 1;

/// A digest of the protocol's version and the pool's timing: blank parties
/// form a pool only with those of the same digest.
///
/// The arbiter knows a pool by its key and its timing only, so nothing else is
/// in it; the managers compare their addresses by the messages' origin.
pub fn offer(advertise_interval: Duration, lease: Duration) -> u64 {
    let digest = Sha256::new()
        .chain_update(b"vrrpd pool offer")
        .chain_update(PROTOCOL_VERSION.to_be_bytes())
        .chain_update(advertise_interval.as_nanos().to_be_bytes())
        .chain_update(lease.as_nanos().to_be_bytes())
        .finalize();
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_this_digest() {
        let ms = Duration::from_millis;
        // (printf 'vrrpd pool offer'; printf '0001%032x%032x' 200000000 600000000 | xxd -r -p) | sha256sum
        assert_eq!(offer(ms(200), ms(600)), 0xf4db_e437_2e45_df79);
        assert_ne!(offer(ms(200), ms(601)), offer(ms(200), ms(600)));
        assert_ne!(offer(ms(201), ms(600)), offer(ms(200), ms(600)));
    }
}
