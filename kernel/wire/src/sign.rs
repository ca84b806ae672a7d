//! The HMAC-SHA256 over the four signed frames, checked in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs and verifies with one connection's key; an empty key means that nothing is signed.
pub(crate) struct Signer {
    mac: Option<Hmac<Sha256>>,
}

impl Signer {
    pub(crate) fn new(key: &str) -> Self {
        // HMAC takes a key of any length, so this never fails for a key that is there.
        let mac = (!key.is_empty())
            .then(|| Hmac::new_from_slice(key.as_bytes()).ok())
            .flatten();
        Self { mac }
    }

    /// The signature in hexadecimal digits, as the protocol sends it.
    pub(crate) fn sign<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let Some(mac) = self.keyed(parts) else {
            return Vec::new();
        };
        mac.finalize()
            .into_bytes()
            .iter()
            .flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)])
            .collect()
    }

    /// Whether the signature is right. The comparison takes the same time wherever two signatures differ.
    pub(crate) fn verify<'a>(
        &self,
        signature: &[u8],
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> bool {
        let Some(mac) = self.keyed(parts) else {
            return true;
        };
        bytes_of_hex(signature).is_some_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    /// Whether messages are signed at all.
    pub(crate) fn signs(&self) -> bool {
        self.mac.is_some()
    }

    fn keyed<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Hmac<Sha256>> {
        let mut mac = self.mac.clone()?;
        parts.into_iter().for_each(|part| mac.update(part));
        Some(mac)
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

fn bytes_of_hex(text: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2)
        .map(|pair| u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_4231_test_case_2() {
        let signer = Signer::new("Jefe");
        let signature = signer.sign([b"what do ya want ".as_slice(), b"for nothing?"]);
        assert_eq!(
            signature,
            b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(signer.verify(&signature, [b"what do ya want for nothing?".as_slice()]));
    }

    #[test]
    fn refuses_what_is_not_this_keys_signature() {
        let signer = Signer::new("key");
        for signature in [
            &b""[..],
            b"00",
            b"zz",
            b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ] {
            assert!(
                !signer.verify(signature, [b"x".as_slice()]),
                "{signature:?}"
            );
        }
    }

    #[test]
    fn signs_nothing_without_a_key() {
        let signer = Signer::new("");
        assert!(!signer.signs());
        assert!(signer.sign([b"x".as_slice()]).is_empty());
        assert!(signer.verify(b"", [b"x".as_slice()]));
    }
}
